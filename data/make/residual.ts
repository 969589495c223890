/**
 * Device bytes and losses of an OLoRA adapter and of the paper's literal residual form, into data/results/residual.json:
 * `deno run -A data/make/residual.ts`.
 *
 * @module
 */
import { attach, batches, literalResidual, loadDataset, loadModel, openDevice, Trainer } from "../../mod.ts";
import type { Adapter } from "../../mod.ts";
import { VERSION } from "../../lib/core/version.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";

const DATA = decodeURIComponent(new URL("../", import.meta.url).pathname);
const STEPS = 50;

using gpu = await openDevice();
using model = await loadModel("tiny", { gpu });
const rows = await loadDataset(`${DATA}tiny/facts/train.jsonl`, model.tokenizer);
const weights = gpu.liveBytes;
const settings = { method: "olora", rank: 8, alpha: 4, targets: "all-linear" };

/** Losses of a training. */
async function training(adapter: Adapter): Promise<number[]> {
  const order = batches(rows, { batchSize: 16, seqLen: 64, seed: 1 });
  using trainer = new Trainer(adapter, order, { steps: STEPS, learningRate: 1e-3 });
  return (await Array.fromAsync(trainer.run())).flat().map(({ loss }) => loss);
}

const adapter = await attach(model, settings);
const ours = gpu.liveBytes - weights;
const residual = await literalResidual(adapter);
const literal = gpu.liveBytes - weights - ours;
const first = await training(adapter);
const second = await training(residual.adapter);
const apart = Math.max(...first.map((loss, i) => Math.abs(loss - second[i])));
await writeFileAtomic(
  `${DATA}results/residual.json`,
  JSON.stringify(
    {
      command: "deno run -A data/make/residual.ts",
      device: gpu.info.name,
      date: new Date().toISOString().slice(0, 10),
      version: VERSION,
      settings,
      steps: STEPS,
      largestLossDifference: apart,
      bytes: {
        base: weights,
        "adapter and frozen start beside the untouched base": ours,
        "literal form: a whole residual model, its adapter": literal,
      },
    },
    null,
    2,
  ) + "\n",
);
