import { assertEquals } from "@std/assert";
import { localBase } from "../../lib/io/local_base.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";

Deno.test("localBase() finds the base that an adapter names on disk or in the cache of the hub, and fetches nothing", () =>
  inFolder(async (folder) => {
    const commit = "0123456789".repeat(4);
    const repository = `${folder}/cache/models--org--name`;
    const snapshot = `${repository}/snapshots/${commit}`;
    await Deno.mkdir(snapshot, { recursive: true });
    await Deno.mkdir(`${repository}/refs`);
    await Deno.writeTextFile(`${repository}/refs/v1`, commit);
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.writeTextFile(`${snapshot}/${name}`, "{}");
    }
    const before = Deno.env.get("HF_HUB_CACHE");
    Deno.env.set("HF_HUB_CACHE", `${folder}/cache`);
    try {
      const baseOf = async (file: string, json: object) => {
        await Deno.writeTextFile(`${folder}/${file}`, JSON.stringify(json));
        const found = await localBase(folder);
        await Deno.remove(`${folder}/${file}`);
        return found;
      };
      const peft = (base_model_name_or_path: unknown, revision?: string) =>
        baseOf("adapter_config.json", { base_model_name_or_path, revision });
      const model = fixturePath("llama_tied");
      assertEquals(await peft(model), model);
      assertEquals(await peft("org/name", "v1"), snapshot);
      assertEquals(await peft("org/name", "v2"), undefined);
      for (const absent of ["org/other", "no/such/folder", "no.gguf", "", null]) {
        assertEquals(await peft(absent), undefined, String(absent));
      }
      assertEquals(await baseOf("kit_adapter.json", { base: "hf:org/name@v1" }), snapshot);
      assertEquals(await localBase(folder), undefined);
    } finally {
      if (before === undefined) Deno.env.delete("HF_HUB_CACHE");
      else Deno.env.set("HF_HUB_CACHE", before);
    }
  }));
