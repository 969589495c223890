import { attach, type AttachOptions } from "../adapters/attach.ts";
import { findMethod } from "../adapters/methods.ts";
import { startsInBase } from "../adapters/quantized.ts";
import { defined } from "../core/defined.ts";
import type { DType } from "../core/dtype.ts";
import { GpuError } from "../core/errors.ts";
import type { QuantizedDType } from "../core/quantize.ts";
import type { Batch } from "../datasets/batches.ts";
import { countingDevice } from "../gpu/counting_device.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { reservable } from "../gpu/reserve.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { freeBytes } from "../io/free_memory.ts";
import { readJson } from "../io/json_file.ts";
import { type DecoderConfig, readModelConfig } from "../io/model_config.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { checkTensors, expectedTensors, linearModules } from "../io/weights.ts";
import { Model } from "../nn/model.ts";
import { meanLoss } from "./evaluate.ts";
import { Trainer } from "./train.ts";

/** Device bytes that loading and training take. */
export interface MemoryPlan {
  /** The model's weights, as they are stored, and its tables. */
  readonly weights: number;
  /** The adapter: parameters, gradients and starting factors. */
  readonly adapter: number;
  /** The most that an update, an evaluation, or a start that looks at data, takes on top: moments, activations, … */
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
  /** Texts of a batch on which the loss is evaluated. Default 0: none is. */
  readonly evaluated?: number;
  /** As in a `RunConfig`. */
  readonly quantize?: QuantizedDType;
  /** Whether the model that is quantised stays. Default false. */
  readonly keepsModel?: boolean;
}

/**
 * The device bytes that training a model takes, by the same count as `gpu.pool`: the training itself, on a device that
 * allocates nothing. Of the weights only names, types and shapes are read; where they are not there yet, config.json says
 * which they will be.
 *
 * @param folder Model folder or GGUF file.
 * @throws {RangeError} If the model or the adapter cannot be made.
 */
export async function planMemory(folder: string, training: PlannedTraining): Promise<MemoryPlan> {
  const { quantize, keepsModel = false, ...plain } = training;
  const config = await readModelConfig(folder);
  const stored = await storedTypes(folder, config);
  if (quantize === undefined) return (await planTraining(config, stored, plain)).plan;
  const linear = linearModules(config);
  const packed = (name: string) => linear.has(name.replace(/\.weight$/, "")) ? quantize : stored(name);
  const { method = "olora", rank, alpha, targets, rankPattern, alphaPattern, dropout } = plain;
  const { batchSize, seqLen, recompute, evaluated } = plain;
  const isResidual = plain.init === undefined && startsInBase(method);
  const own = {
    ...{ rank, alpha, targets, rankPattern, alphaPattern, dropout },
    ...{ batchSize, seqLen, recompute, evaluated },
  };
  const { plan: trained, attaching } = await planTraining(
    config,
    packed,
    isResidual ? { ...defined(own), method: "lora" } : plain,
  );
  using gpu = countingDevice();
  using model = emptyModel(gpu, config, stored);
  const whole = gpu.liveBytes;
  const first = { ...plain, method: method === "loftq" ? "lora" : method };
  using _start = isResidual ? await attach(model, withBatches(first)) : undefined;
  const quantizing = Math.max(gpu.pool.peakBytes, gpu.liveBytes + attaching);
  const kept = keepsModel ? whole : 0;
  const [weights, { adapter }] = [trained.weights + kept, trained];
  const total = Math.max(quantizing, trained.total + kept);
  return { weights, adapter, update: total - weights - adapter, total };
}

/** A model of the right sizes. */
function emptyModel(gpu: Gpu, config: DecoderConfig, stored: (name: string) => DType): Model {
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of expectedTensors(config)) {
    tensors.set(name, gpu.tensor(shape, shape.length === 1 ? "f32" : stored(name)));
  }
  return new Model(gpu, { name: "planned", folder: "planned" }, config, undefined, tensors);
}

/** What `attach` is asked for, with a batch where the method's start looks at some. */
function withBatches(training: PlannedTraining): AttachOptions {
  const { batchSize, seqLen, recompute: _, evaluated: __, ...options } = training;
  const looks = findMethod(options.method ?? "olora").batches && !options.init;
  const [batch] = sameBatch(batchSize, seqLen);
  return { ...options, ...(looks && { batches: [batch] }) };
}

/** The plan, and the most that it takes until the adapter is attached. */
async function planTraining(
  config: DecoderConfig,
  stored: (name: string) => DType,
  training: PlannedTraining,
): Promise<{ plan: MemoryPlan; attaching: number }> {
  const { batchSize, seqLen, recompute = false, evaluated = 0 } = training;
  using gpu = countingDevice();
  using model = emptyModel(gpu, config, stored);
  const weights = gpu.liveBytes;
  const options = withBatches(training);
  gpu.pool.resetPeak();
  using adapter = await attach(model, options);
  const [attached, attaching] = [gpu.liveBytes, gpu.pool.peakBytes];
  const start = options.batches ? attaching : 0;
  gpu.pool.resetPeak();
  const steps = Number.MAX_SAFE_INTEGER;
  using trainer = new Trainer(adapter, sameBatch(batchSize, seqLen), { steps, recompute });
  for await (const _ of trainer.run({ until: 1 }));
  if (evaluated) await meanLoss(model, [sameBatch(evaluated, seqLen).next().value!]);
  const total = Math.max(start, gpu.pool.peakBytes);
  const plan = { weights, adapter: attached - weights, update: total - attached, total };
  return { plan, attaching };
}

/** The type of each tensor as it is stored, or, without weights, as the model's config.json says. */
async function storedTypes(folder: string, config: DecoderConfig): Promise<(name: string) => DType> {
  try {
    using file = await openModelTensors(folder);
    const { tensors } = file;
    checkTensors(config, tensors, file.fileOf);
    // What checkTensors lets pass is called as it is stored.
    return (name) => tensors.get(name)!.dtype.toLowerCase() as DType;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const { torch_dtype, dtype = torch_dtype } = await readJson(`${folder}/config.json`);
    const types: Record<string, DType> = { float16: "f16", bfloat16: "bf16" };
    return () => types[String(dtype)] ?? "f32";
  }
}

/**
 * Asks the device for all that a training will take, gives it back, and returns the plan: so it is refused before anything is
 * uploaded.
 *
 * @param name What the model is called in errors.
 * @throws {GpuError} If the device does not have it; the message says how much it has, which settings would take less, and how much.
 */
export async function reserveMemory(
  gpu: Gpu,
  folder: string,
  training: PlannedTraining,
  name = folder,
): Promise<MemoryPlan> {
  const plan = await planMemory(folder, training);
  const given = await reservable(gpu, plan.total, freeBytes);
  if (given >= plan.total) return plan;
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
    `Cannot train ${name}: ${gpu.info.name} gives ${megabytes(given)} of memory, expected ${
      megabytes(plan.total)
    } (${megabytes(plan.weights)} of weights, ${megabytes(plan.update)} for an update), ` +
      (found.length ? `or less: ${found.join(", ")}` : "or a smaller model"),
  );
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
