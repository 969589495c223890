import { Adapter } from "../adapters/adapter.ts";
import { batches } from "../datasets/batches.ts";
import type { Dataset } from "../datasets/load.ts";
import type { Model } from "../nn/model.ts";
import { type StepRecord, Trainer, type TrainOptions } from "./train.ts";

/** Options of `train`. */
export interface LoopOptions extends TrainOptions {
  /** Sequences of a batch. Default 8. */
  batchSize?: number;
  /** Longest sequence, predicted tokens. Default 128. */
  seqLen?: number;
  /** Seed of the order of rows. Default 0. */
  seed?: number;
  /** Ends the training after the update at hand. */
  signal?: AbortSignal;
}

/**
 * Trains what is attached to `model` on `dataset` and yields each update's record.
 *
 * @throws {TypeError} If nothing is attached.
 * @throws {DivergedError} If a loss or gradient is not finite.
 *
 * @example Usage
 * ```ts ignore
 * import { attach, loadDataset, loadModel, openDevice, train } from "@olora/kit";
 *
 * using gpu = await openDevice();
 * using model = await loadModel("tiny", { gpu });
 * using adapter = await attach(model, { method: "olora", rank: 8 });
 * const dataset = await loadDataset("data/tiny/facts/train.jsonl", model.tokenizer);
 * for await (const { step, loss } of train(model, dataset, { steps: 100 })) console.log(step, loss);
 * ```
 */
export async function* train(
  model: Model,
  dataset: Dataset,
  options: LoopOptions,
): AsyncGenerator<StepRecord> {
  const adapter = model.changes;
  if (!(adapter instanceof Adapter)) {
    throw new TypeError("Cannot train: nothing is attached to the model, expected an adapter (attach)");
  }
  const { batchSize = 8, seqLen = 128, seed = 0, signal } = options;
  using trainer = new Trainer(adapter, batches(dataset, { batchSize, seqLen, seed }), options);
  for await (const records of trainer.run({ stopped: () => signal?.aborted ?? false })) yield* records;
}
