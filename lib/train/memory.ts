import { attach, type AttachOptions } from "../adapters/attach.ts";
import type { DType } from "../core/dtype.ts";
import type { Batch } from "../datasets/batches.ts";
import { countingDevice } from "../gpu/counting_device.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { readModelConfig } from "../io/model_config.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { checkTensors, expectedTensors } from "../io/weights.ts";
import { Model } from "../nn/model.ts";
import { Trainer } from "./train.ts";

/** Device bytes that loading and training take. */
export interface MemoryPlan {
  /** The model's weights, as they are stored, and its tables. */
  readonly weights: number;
  /** The adapter: parameters, gradients and starting factors. */
  readonly adapter: number;
  /** The most that an update takes on top: moments, activations, gradients, logits. */
  readonly update: number;
  /** All of it. */
  readonly total: number;
}

/** What is to be trained. */
export interface PlannedTraining extends AttachOptions {
  /** Texts of a batch. */
  readonly batchSize: number;
  /** Tokens of a text. */
  readonly seqLen: number;
  /** As in `TrainOptions`. Default false. */
  readonly recompute?: boolean;
}

/**
 * The device bytes that training a model takes, by the same count as `gpu.pool`: the training itself, on a device that
 * allocates nothing. Of the weights only names, types and shapes are read.
 *
 * @param folder Model folder or GGUF file.
 * @throws {RangeError} If the model or the adapter cannot be made.
 */
export async function planMemory(folder: string, training: PlannedTraining): Promise<MemoryPlan> {
  const { batchSize, seqLen, recompute = false, ...options } = training;
  using gpu = countingDevice();
  const config = await readModelConfig(folder);
  using file = await openModelTensors(folder);
  checkTensors(config, file.tensors, folder);
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of expectedTensors(config)) {
    // What checkTensors lets pass is called as it is stored.
    const dtype = shape.length === 1 ? "f32" : file.tensors.get(name)!.dtype.toLowerCase() as DType;
    tensors.set(name, gpu.tensor(shape, dtype));
  }
  using model = new Model(gpu, { name: folder, folder }, config, undefined, tensors);
  const weights = gpu.liveBytes;
  using adapter = await attach(model, options);
  const attached = gpu.liveBytes;
  gpu.pool.resetPeak();
  using trainer = new Trainer(adapter, sameBatch(batchSize, seqLen), { steps: 1, recompute });
  for await (const _ of trainer.run());
  const total = gpu.pool.peakBytes;
  return { weights, adapter: attached - weights, update: total - attached, total };
}

function* sameBatch(rows: number, tokens: number): Generator<Batch, void> {
  const count = rows * tokens;
  for (let position = 1;; position++) {
    yield {
      ...{ ids: new Uint32Array(count), targets: new Int32Array(count) },
      ...{ shape: [rows, tokens], count, position },
    };
  }
}
