import { assertEquals, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { hostTensor } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { parseModelConfig } from "../../lib/io/model_config.ts";
import { expectedTensors } from "../../lib/io/weights.ts";
import { Model } from "../../lib/nn/model.ts";
import { testDevice } from "../helpers/device.ts";
import { inFolder } from "../helpers/folder.ts";

const SIZES = {
  ...{ model_type: "llama", num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1 },
  ...{ vocab_size: 16, intermediate_size: 24 },
};

/** A llama of random weights, of one layer and this width. */
function llama(gpu: Gpu, width: number): Model {
  const config = parseModelConfig({ ...SIZES, hidden_size: width }, "config.json");
  const rng = new Rng(width);
  const weights = new Map([...expectedTensors(config)].map(([name, shape]) => {
    const size = shape.reduce((product, axis) => product * axis, 1);
    const values = Array.from({ length: size }, () => rng.normal());
    return [name, gpu.keep(gpu.uploadHost(hostTensor(shape, values)))];
  }));
  return new Model(gpu, { name: `llama of ${width}`, folder: "none" }, config, undefined, weights);
}

for (const method of ["olora", "pissa", "lora", "dora", "adalora", "mora"]) {
  Deno.test(`loadAdapter() refuses an adapter of ${method} of a smaller model, and leaves what is attached`, () =>
    inFolder(async (folder) => {
      const gpu = await testDevice();
      using small = llama(gpu, 8);
      using large = llama(gpu, 16);
      {
        using adapter = await attach(small, { method, rank: 2, targets: "all-linear" });
        await saveAdapter(adapter, folder);
        // As PEFT leaves it: the start is made anew.
        await Deno.remove(`${folder}/start`, { recursive: true }).catch(() => {});
      }
      using before = await attach(large, { rank: 2 });
      const bytes = gpu.liveBytes;
      const error = await assertRejects(
        () => loadAdapter(large, folder),
        RangeError,
        `attach ${folder}: found`,
      );
      assertEquals(
        /found .*model\.layers\.0\.(self_attn|mlp)\.\w+_proj.*expected \[/.test(error.message),
        true,
      );
      assertEquals([gpu.liveBytes, large.changes === before], [bytes, true]);
    }));
}
