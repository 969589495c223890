import { assert } from "@std/assert";
import { trainingMemory } from "../../lib/cli/inspect.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { trainRun } from "../../lib/train/run.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

for (const name of ["llama_tied", "llama_untied"] as const) {
  Deno.test(`trainingMemory() is below what training ${name} takes, by less than a quarter`, async () => {
    const gpu = await testDevice();
    const folder = fixturePath(name);
    using file = await openModelTensors(folder);
    const before = gpu.liveBytes;
    using model = await loadModel(folder, { gpu });
    const { config } = model;
    const { batch, tokens, rank, bytes } = trainingMemory(config, file.tensors);
    const row = Array.from({ length: tokens + 1 }, (_, i) => (7 * i) % config.vocabularySize);
    const data = await Deno.makeTempFile({ suffix: ".json" });
    await Deno.writeTextFile(data, JSON.stringify({ batches: [Array.from({ length: batch }, () => row)] }));
    gpu.pool.resetPeak();
    for await (const _ of trainRun({ model: folder, data, rank }, { gpu, model, stopped: () => false }));
    const used = gpu.pool.peakBytes - before;
    assert(bytes.total <= used && used < 1.25 * bytes.total, `estimate ${bytes.total}, used ${used}`);
    await Deno.remove(data);
  });
}
