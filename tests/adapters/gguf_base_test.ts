import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { residualModel } from "../../lib/adapters/convert.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches } from "../helpers/fixtures.ts";
import { inGguf } from "../helpers/gguf.ts";
import { blocksAndWide } from "../helpers/gguf_model.ts";

const METHODS: AttachOptions[] = [
  { method: "olora", rank: 4, targets: "all-linear" },
  { method: "lora", rank: 3, dropout: 0.3 },
  { method: "pissa", rank: 3 },
  { method: "dora", rank: 3, targets: "all-linear" },
  { method: "olora", rank: 3, magnitude: true },
  { method: "full" },
];
const ids = [[1, 5, 9, 33, 96, 0, 12], [4, 4, 60, 7]];
const files = await blocksAndWide();

for (const options of METHODS) {
  Deno.test(`attach() with ${JSON.stringify(options)} trains on blocks as on their f32 numbers, bit for bit`, async () => {
    const gpu = await testDevice();
    const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
    const trained: number[][][] = [];
    for (const file of [files.blocks, files.wide]) {
      await inGguf(file, async (path) => {
        using model = await loadModel(path, { gpu });
        const base = await score(model, ids);
        using adapter = await attach(model, options);
        using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
          steps: 3,
          learningRate: 1e-2,
        });
        await Array.fromAsync(trainer.run());
        trained.push((await score(model, ids)).map((row) => [...row]));
        assertEquals(await score(model, ids, { changes: null }), base);
      });
    }
    assert(trained[0].every((row) => row.every(Number.isFinite)));
    assertEquals(trained[0], trained[1]);
  });
}

Deno.test("saveModel() and residualModel() write a base in blocks in f32, and never as the blocks it had", async () => {
  const gpu = await testDevice();
  const folder = await Deno.makeTempDir();
  await inGguf(files.blocks, async (path) => {
    using model = await loadModel(path, { gpu });
    const base = await score(model, ids);
    await saveModel(model, folder);
    using saved = await loadModel(folder, { gpu });
    assertEquals(await score(saved, ids), base);
    assertEquals(saved.config, model.config);
    await assertRejects(() => saveModel(model, folder, "stored"), RangeError, "Cannot merge into q8_0");
    using adapter = await attach(model, { method: "olora", rank: 2 });
    using residual = residualModel(adapter);
    const dtypes = ["q", "k"].map((letter) =>
      residual.weights.get(`model.layers.0.self_attn.${letter}_proj.weight`)!.dtype
    );
    assertEquals(dtypes, ["f32", "q5_0"]);
  });
  await Deno.remove(folder, { recursive: true });
});
