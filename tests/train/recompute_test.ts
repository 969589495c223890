import { assert, assertEquals } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Batch } from "../../lib/datasets/batches.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { planMemory } from "../../lib/train/memory.ts";
import { Trainer } from "../../lib/train/train.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const [B, T] = [4, 24];

function* sameBatch(vocabulary: number): Generator<Batch, void> {
  const ids = Uint32Array.from({ length: B * T }, (_, i) => (7 * i + 3) % vocabulary);
  const targets = Int32Array.from({ length: B * T }, (_, i) => (7 * i + 10) % vocabulary);
  for (let position = 1;; position++) yield { ids, targets, shape: [B, T], count: ids.length, position };
}

const CASES: [string, AttachOptions][] = [
  ["llama_tied", { method: "olora", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "dora", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "olora", magnitude: true, rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "mora", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "remora", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "flora", rank: 2, targets: "all-linear" }],
  ["llama_untied", { method: "adalora", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "lora2", rank: 4, targets: "all-linear", dropout: 0.2 }],
  ["llama_untied", { method: "alora", rank: 2, dropout: 0.2 }],
  ["llama_untied", { method: "full" }],
  ["gemma", { method: "lora", rank: 4 }],
  ["gpt2", { method: "full" }],
];

for (const [name, options] of CASES) {
  Deno.test(`recompute trains ${name} by ${options.method} to the same bits, in less memory`, async () => {
    const gpu = await testDevice();
    const train = async (recompute: boolean) => {
      using model = await loadModel(fixturePath(name), { gpu });
      using adapter = await attach(model, options);
      const batches = sameBatch(model.config.vocabularySize);
      using trainer = new Trainer(adapter, batches, { steps: 3, learningRate: 1e-2, recompute });
      gpu.pool.resetPeak();
      const before = gpu.liveBytes;
      const records = (await Array.fromAsync(trainer.run())).flat();
      const bits = new Uint32Array((await gpu.read(adapter.parameters.data)).buffer);
      return { records, bits, peak: gpu.pool.peakBytes - before };
    };
    const [kept, again] = [await train(false), await train(true)];
    assert(kept.records.every(({ gradNorm }) => gradNorm > 0));
    assertEquals(again.records, kept.records);
    assertEquals(again.bits, kept.bits);
    assert(again.peak < kept.peak, `${again.peak} of ${kept.peak} bytes`);
  });
}

Deno.test("recompute keeps of tiny's layers what goes from one to the next", async () => {
  const folder = decodeURIComponent(new URL("../../data/tiny", import.meta.url).pathname);
  const plan = (recompute: boolean) =>
    planMemory(folder, {
      method: "olora",
      rank: 8,
      targets: "all-linear",
      batchSize: 16,
      seqLen: 64,
      recompute,
    });
  const [kept, again] = [await plan(false), await plan(true)];
  assertEquals([again.weights, again.adapter], [kept.weights, kept.adapter]);
  assert(again.update < 0.6 * kept.update, `${again.update} of ${kept.update} bytes`);
});
