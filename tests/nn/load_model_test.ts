import { assertEquals, assertRejects } from "@std/assert";
import { type HostTensor, hostTensor } from "../../lib/core/host_tensor.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { writeSafetensors } from "../../lib/io/safetensors.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";

const MODEL = fixturePath("llama_untied");
const INDEX = "model.safetensors.index.json";

Deno.test("loadModel() names the shard of a tensor that is wrong, and the list of one that is missing", () =>
  inFolder(async (folder) => {
    const shards = new Map<string, Map<string, HostTensor>>([["layers", new Map()], ["ends", new Map()]]);
    using file = await openModelTensors(MODEL);
    for (const name of file.tensors.keys()) {
      const [shard, tensor] = [name.includes(".layers.") ? "layers" : "ends", await file.read(name)];
      if (name === "model.norm.weight") continue;
      shards.get(shard)!.set(
        name,
        name === "lm_head.weight" ? hostTensor([2, 3], [1, 2, 3, 4, 5, 6]) : tensor,
      );
    }
    shards.get("layers")!.set("model.layers.0.extra", hostTensor([1], [1]));
    await Deno.copyFile(`${MODEL}/config.json`, `${folder}/config.json`);
    const weight_map: Record<string, string> = {};
    for (const [shard, tensors] of shards) {
      for (const name of tensors.keys()) weight_map[name] = `${shard}.safetensors`;
      await writeSafetensors(`${folder}/${shard}.safetensors`, tensors);
    }
    await Deno.writeTextFile(`${folder}/${INDEX}`, JSON.stringify({ weight_map }));
    const gpu = await testDevice();
    const { message } = await assertRejects(() => loadModel(folder, { gpu }), RangeError);
    assertEquals(message.split(/: |; /).filter((part) => part.includes(" in ")), [
      `model.norm.weight in ${folder}/${INDEX}`,
      `lm_head.weight in ${folder}/ends.safetensors`,
      `model.layers.0.extra in ${folder}/layers.safetensors`,
    ]);
  }));
