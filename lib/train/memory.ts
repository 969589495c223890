import { attach, type AttachOptions } from "../adapters/attach.ts";
import { findMethod } from "../adapters/methods.ts";
import type { DType } from "../core/dtype.ts";
import { GpuError } from "../core/errors.ts";
import type { Batch } from "../datasets/batches.ts";
import { countingDevice } from "../gpu/counting_device.ts";
import type { Gpu } from "../gpu/gpu.ts";
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
  /** The most that an update, or a start that looks at data, takes on top: moments, activations, gradients, logits. */
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
  const [batch] = sameBatch(batchSize, seqLen);
  const looks = findMethod(options.method ?? "olora").batches && !options.init;
  gpu.pool.resetPeak();
  using adapter = await attach(model, { ...options, ...(looks && { batches: [batch] }) });
  const attached = gpu.liveBytes;
  const start = looks ? gpu.pool.peakBytes : 0;
  gpu.pool.resetPeak();
  const steps = Number.MAX_SAFE_INTEGER;
  using trainer = new Trainer(adapter, sameBatch(batchSize, seqLen), { steps, recompute });
  for await (const _ of trainer.run({ until: 1 }));
  const total = Math.max(start, gpu.pool.peakBytes);
  return { weights, adapter: attached - weights, update: total - attached, total };
}

/** Bytes of one buffer of the reservation: all devices make buffers of that size. */
const PIECE = 1 << 28;

/**
 * Asks the device for all that a training will take, gives it back, and returns the plan: WebGPU does not tell how much
 * memory a device has, so this is the one way to refuse before anything is uploaded.
 *
 * @throws {GpuError} If the device does not have it; the message says which settings would take less, and how much.
 */
export async function reserveMemory(
  gpu: Gpu,
  folder: string,
  training: PlannedTraining,
): Promise<MemoryPlan> {
  const plan = await planMemory(folder, training);
  if (await has(gpu, plan.total)) return plan;
  const { batchSize, recompute = false } = training;
  const smaller: [string, PlannedTraining][] = [
    ["recompute", { ...training, recompute: true }],
    [`batch size ${batchSize >> 1}`, { ...training, batchSize: batchSize >> 1 }],
    [`both`, { ...training, batchSize: batchSize >> 1, recompute: true }],
  ];
  const able = smaller.filter(([, { batchSize }]) => batchSize > 0).slice(
    recompute ? 1 : 0,
    recompute ? 2 : 3,
  );
  const found = await Promise.all(
    able.map(async ([name, other]) => `${megabytes((await planMemory(folder, other)).total)} with ${name}`),
  );
  throw new GpuError(
    `Cannot train ${folder}: ${gpu.info.name} refused ${megabytes(plan.total)} of memory ` +
      `(${megabytes(plan.weights)} of weights, ${megabytes(plan.update)} for an update)` +
      (found.length ? `, expected less: ${found.join(", ")}` : ", expected a smaller model"),
  );
}

async function has({ device }: Gpu, bytes: number): Promise<boolean> {
  device.pushErrorScope("out-of-memory");
  const buffers: GPUBuffer[] = [];
  for (let left = bytes; left > 0; left -= PIECE) {
    buffers.push(device.createBuffer({ size: Math.min(left, PIECE), usage: GPUBufferUsage.STORAGE }));
  }
  const error = await device.popErrorScope();
  for (const buffer of buffers) buffer.destroy();
  return error === null;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
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
