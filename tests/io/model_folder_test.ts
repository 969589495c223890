import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { resolveModel } from "../../lib/io/model_folder.ts";

Deno.test("resolveModel() gives back a folder that has a config.json, without a slash at its end", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/config.json`, "{}");
  assertEquals(await resolveModel(folder), folder);
  assertEquals(await resolveModel(`${folder}/`), folder);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("resolveModel() says what it looked for and what is supported", async () => {
  for (const spec of ["none", "x/model.gguf"]) {
    const error = await assertRejects(() => resolveModel(spec), Error, `Cannot load model ${spec}`);
    assertStringIncludes(
      (error as Error).message,
      'supported are "tiny", "tiny:2", "tiny:3", the path of a Hugging Face folder',
    );
  }
});

Deno.test("resolveModel() takes names on the hub to the hub's cache", async () => {
  await assertRejects(
    () => resolveModel("hf:name"),
    RangeError,
    "expected hf:org/name, hf:org/name@revision or",
  );
});

Deno.test("resolveModel() finds the embedded models beside the code", async () => {
  for (const [name, folder] of [["tiny", "tiny"], ["tiny:2", "tiny/seed-2"], ["tiny:3", "tiny/seed-3"]]) {
    const expected = decodeURIComponent(new URL(`../../data/${folder}`, import.meta.url).pathname);
    assertEquals(await resolveModel(name), expected);
  }
});
