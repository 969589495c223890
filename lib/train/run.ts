import type { Adapter, AdapterConfig } from "../adapters/adapter.ts";
import { attach, type AttachOptions } from "../adapters/attach.ts";
import { findMethod } from "../adapters/methods.ts";
import { methodOptionNames } from "../adapters/options.ts";
import { saveAdapter } from "../adapters/save.ts";
import { saveModel } from "../adapters/save_model.ts";
import { defined } from "../core/defined.ts";
import { type Batch, batches, batchesInOrder } from "../datasets/batches.ts";
import { type Dataset, loadDataset } from "../datasets/load.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { VERSION } from "../core/version.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { appendLine, readJsonl } from "../io/jsonl.ts";
import { readJsonIfAny } from "../io/json_file.ts";
import { readModelConfig } from "../io/model_config.ts";
import { resolveModel } from "../io/model_folder.ts";
import { readPeftAdapter } from "../io/peft.ts";
import { moduleRank, moduleScale, type PeftAdapter } from "../io/peft_format.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { settleVariants } from "../ops/variants.ts";
import {
  readCheckpoint,
  removeCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  storedStart,
} from "./checkpoint.ts";
import { meanLoss } from "./evaluate.ts";
import { type MemoryPlan, reserveMemory } from "./memory.ts";
import { attachOnQuantized, hasOwnBase } from "./quantized_base.ts";
import { checkRunConfig, type RunConfig, runIdentity, startBatchesOf } from "./run_config.ts";
import type { CutRows, RunEvent } from "./run_event.ts";
import { type StepRecord, Trainer } from "./train.ts";

/** How a run is carried out; none of it changes its numbers. */
export interface RunControl {
  /** Asked between updates. */
  stopped(): boolean;
  /** Device to run on, which stays open. */
  gpu: Gpu;
  /** Goes on from the checkpoint in `out` if there is one, and does nothing if the run is finished. Default false. */
  resume?: boolean;
  /** What a checkpoint must agree in to be resumed; default: the config but `out` and `checkpointEvery`. */
  identity?: string;
  /** Model to train on in place of loading `config.model`; it stays open. */
  model?: Model;
  /** Called when the adapter is attached, with the ms that this took. */
  onAttached?: (adapter: Adapter, ms: number) => void | Promise<void>;
  /** Called when the training is over, while its adapter is still attached. */
  onTrained?: (adapter: Adapter) => Promise<void>;
}

/**
 * Carries out a run and says how it goes: an event for each update, evaluation and checkpoint.
 *
 * With `out`, metrics.jsonl gets a row for each update and evaluations.jsonl one for each evaluation; at the end the adapter is written there, and run.json, which
 * says what made it; when stopped, a checkpoint that a run with `resume` goes on from, bit for bit on the same device.
 *
 * @throws {RangeError} If a setting makes no sense; before anything is allocated where that can be known.
 * @throws {DivergedError} If a loss or gradient is not finite; a checkpoint made before stays.
 */
export async function* trainRun(config: RunConfig, control: RunControl): AsyncGenerator<RunEvent> {
  checkRunConfig(config);
  const { gpu } = control;
  const { out } = config;
  const place = out === undefined ? undefined : `${out}/checkpoint`;
  const identity = control.identity ?? runIdentity(config);
  const stored = control.resume && place !== undefined ? await readCheckpoint(place) : undefined;
  // A finished run has nothing to measure any more, so whoever measures gets it made again.
  if (control.resume && !stored && out !== undefined && !control.onTrained) {
    const made = await readJsonIfAny(`${out}/run.json`);
    if (made?.identity === identity && typeof made.steps === "number") {
      return yield { step: made.steps, steps: made.steps, finished: true };
    }
  }
  for (const [kernel, variant] of stored?.variants ?? []) gpu.variants.set(kernel, variant);
  settleVariants(gpu);
  const { permutation } = config;
  const options = await attachOptions(config);
  const held = config.evaluation;
  if (!control.model) {
    const evaluated = held && { evaluated: Math.min(EVALUATED_ROWS, held.rows ?? EVALUATED_ROWS) };
    await reserveRun(gpu, config, { ...evaluated });
  }
  using loaded = control.model
    ? undefined
    : await loadModel(config.model, { gpu, ...(permutation !== undefined && { permutation }) });
  const model = control.model ?? loaded!;
  const dataset = await datasetOf(config.data, config, model);
  const steps = stepsOf(dataset, config);
  await gpu.settled();
  const begin = performance.now();
  const start = stored && startBatchesOf(config) && !config.quantize
    ? await storedStart(stored, identity, model)
    : firstBatches(dataset, config, model);
  const made = config.quantize
    ? await attachOnQuantized(model, config, { ...options, ...start })
    : { model, adapter: await attach(model, { ...options, ...start }) };
  using _quantized = config.quantize ? made.model : undefined;
  using adapter = made.adapter;
  if (config.quantize) loaded?.[Symbol.dispose]();
  const heldOut = held && await datasetOf(held.data, config, made.model);
  const evaluate = heldOut && evaluation(heldOut, config, made.model);
  await gpu.settled();
  await control.onAttached?.(adapter, performance.now() - begin);
  const position = stored?.position ?? 0;
  const order = batchesOf(dataset, config, model, position);
  using trainer = new Trainer(adapter, order, { ...config, steps }, position);
  if (stored) await restoreCheckpoint(stored, trainer, identity);
  if (out !== undefined) await Deno.remove(`${out}/run.json`).catch(() => {});
  const metrics = out === undefined ? undefined : await openLog(`${out}/metrics.jsonl`, trainer.step);
  const evaluations = out === undefined ? undefined : await openLog(`${out}/evaluations.jsonl`, trainer.step);

  const every = config.evaluation?.every ?? 0;
  const checkpointEvery = config.checkpointEvery ?? 0;
  const event = (more: Partial<RunEvent>): RunEvent => ({ step: trainer.step, steps, ...more });
  const checkpoint = async () => {
    await saveCheckpoint(place!, trainer, identity);
    return event({ checkpoint: place! });
  };
  for (const [file, rows] of [[config.data, dataset], [held?.data, heldOut]] as const) {
    const cut = rows && cutRows(file!, rows, seqLenOf(config, model) + 1);
    if (cut) yield event({ cut });
  }
  for (const { step, loss } of evaluations?.before ?? []) yield { step, steps, evaluation: loss as number };
  const evaluated = async () => {
    const evaluation = await evaluate!();
    evaluations?.append([{ step: trainer.step, loss: evaluation }]);
    return event({ evaluation });
  };
  if (evaluate && trainer.step === 0) yield await evaluated();
  while (trainer.step < steps) {
    const stops = [every, checkpointEvery].filter((n) => n > 0).map((n) =>
      (Math.floor(trainer.step / n) + 1) * n
    );
    const from = trainer.step;
    for await (const records of trainer.run({ until: Math.min(steps, ...stops), stopped: control.stopped })) {
      metrics?.append(records.map(metricsRow));
      for (const { step, ...record } of records) yield { step, steps, ...record };
    }
    const due = (n: number) => n > 0 && trainer.step > from && trainer.step % n === 0;
    if (evaluate && (due(every) || trainer.step === steps)) yield await evaluated();
    if (control.stopped() && trainer.step < steps) {
      if (place !== undefined) yield await checkpoint();
      return;
    }
    if (place !== undefined && due(checkpointEvery) && trainer.step < steps) yield await checkpoint();
  }
  await control.onTrained?.(adapter);
  if (out !== undefined) {
    await saveAdapter(adapter, out);
    if (hasOwnBase(config) && !control.model) await saveBase(adapter, `${out}/base`);
    const made = { device: gpu.info.name, variants: Object.fromEntries(gpu.variants), version: VERSION };
    await writeFileAtomic(
      `${out}/run.json`,
      JSON.stringify({ identity, steps, config, ...made }, null, 2) + "\n",
    );
    await removeCheckpoint(place!);
  }
  yield event({ finished: true });
}

/** Writes the model that an adapter sits on, without it. */
async function saveBase({ model }: Adapter, folder: string): Promise<void> {
  const { changes } = model;
  model.changes = undefined;
  await Deno.mkdir(folder, { recursive: true });
  await saveModel(model, folder);
  model.changes = changes;
}

/**
 * The device bytes that a run takes, asked of the device and given back ({@linkcode reserveMemory}); batches that were made
 * already may be of another size.
 *
 * @param planned `folder`: where the model is, by default what its name stands for; `evaluated`: rows of a batch that the
 * loss is evaluated on, by default none; `keepsModel`: whether a model stays that is quantised for the run.
 * @throws {GpuError} If the device does not have them.
 */
export async function reserveRun(
  gpu: Gpu,
  config: RunConfig,
  planned: { folder?: string; evaluated?: number; keepsModel?: boolean } = {},
): Promise<MemoryPlan> {
  const { folder = await resolveModel(config.model), ...more } = planned;
  const { batchSize = 8, recompute = false, quantize } = config;
  const seqLen = seqLenOf(config, { config: await readModelConfig(folder) });
  const training = {
    ...await attachOptions(config),
    ...{ batchSize, seqLen, recompute },
    ...(quantize && { quantize }),
    ...more,
  };
  return await reserveMemory(gpu, folder, training, config.model);
}

/** What a run asks `attach` for; settings that are not given are those of the starting factors. */
export async function attachOptions(config: RunConfig): Promise<AttachOptions> {
  const { method, rank, alpha, targets, rankPattern, alphaPattern, dropout, seed, init } = config;
  const start = init === undefined ? undefined : await readPeftAdapter(init);
  const given = {
    ...(start && startSettings(start, config)),
    ...defined({ method, rank, alpha, targets, rankPattern, alphaPattern, dropout, seed }),
    init: start?.factors,
    weights: start?.weights,
    ...Object.fromEntries(methodOptionNames.map((name) => [name, config[name]])),
  };
  return defined(given);
}

/** Layers and ranks of starting factors; and α, such that each layer keeps its scale, where `config` gives no rank or α. */
function startSettings(
  { config: found, factors }: PeftAdapter,
  { method = "olora", rank, alpha }: RunConfig,
): Partial<AdapterConfig> {
  const targets = [...factors.keys()];
  const layout = { targets, rank: found.rank, rankPattern: found.rankPattern };
  if (alpha !== undefined || rank !== undefined) return { ...layout, alpha: rank ?? alpha };
  const { scale } = findMethod(method);
  const alphaOf = (module: string, config = found) => {
    const rank = moduleRank(config, module);
    return moduleScale(config, module) / (scale?.({ alpha: 1, rank }) ?? 1 / rank);
  };
  const usual = alphaOf("", { ...found, rankPattern: {}, alphaPattern: {} });
  const others = targets.map((module) => [module.replaceAll(".", "\\."), alphaOf(module)] as const)
    .filter(([, other]) => other !== usual);
  return { ...layout, alpha: usual, alphaPattern: Object.fromEntries(others) };
}

/** The rows of the file at `path`, cut as `config` says. */
async function datasetOf(path: string, config: RunConfig, model: Model): Promise<Dataset> {
  const { vocabularySize } = model.config;
  const { maskPrompt = true } = config;
  return await loadDataset(path, model.tokenizer, {
    seqLen: seqLenOf(config, model),
    vocabularySize,
    maskPrompt,
  });
}

/** Default 128 tokens, or what the model can take. */
function seqLenOf(
  { seqLen }: Pick<RunConfig, "seqLen">,
  { config: { context } }: Pick<Model, "config">,
): number {
  if (seqLen === undefined) return Math.min(128, context);
  if (seqLen <= context) return seqLen;
  throw new RangeError(
    `Cannot train with seqLen ${seqLen}: expected at most ${context}, the model's context`,
  );
}

function stepsOf(dataset: Dataset, { data, steps, accumulate = 1 }: RunConfig): number {
  if (dataset.kind !== "batches") return steps ?? 200;
  const found = dataset.groups.length;
  const wanted = steps ?? Math.max(1, Math.floor(found / accumulate));
  if (wanted * accumulate <= found) return wanted;
  throw new RangeError(
    `Cannot train ${wanted} steps of ${accumulate} batches on ${data}: found ${found} batches, expected ${
      wanted * accumulate
    }`,
  );
}

function batchesOf(dataset: Dataset, config: RunConfig, model: Model, position: number): Iterator<Batch> {
  const { batchSize = 8, seed = 0 } = config;
  return batches(dataset, { batchSize, seqLen: seqLenOf(config, model), seed, position });
}

/** The first batches of a run's data, for `attach`, where the method's start looks at them. */
function firstBatches(dataset: Dataset, config: RunConfig, model: Model): Pick<AttachOptions, "batches"> {
  const wanted = startBatchesOf(config);
  if (!wanted) return {};
  const order = batchesOf(dataset, config, model, 0);
  return { batches: [...Iterator.from(order).take(wanted)] };
}

/** What `attach` needs of a run's data: batches, where the method's start looks at them, else nothing. */
export async function startData(config: RunConfig, model: Model): Promise<Pick<AttachOptions, "batches">> {
  return startBatchesOf(config)
    ? firstBatches(await datasetOf(config.data, config, model), config, model)
    : {};
}

/** Most rows of a batch that is evaluated. */
export const EVALUATED_ROWS = 64;

/**
 * The rows of a file as batches for `meanLoss`, cut as a run with these settings cuts them.
 *
 * @param rows Only the first rows; all by default.
 */
export async function evaluationBatches(
  path: string,
  config: RunConfig,
  model: Model,
  rows?: number,
): Promise<Batch[]> {
  return inOrder(await datasetOf(path, config, model), config, model, rows);
}

function inOrder(dataset: Dataset, config: RunConfig, model: Model, rows?: number): Batch[] {
  const limit = rows === undefined ? {} : { limit: rows };
  return [
    ...batchesInOrder(dataset, { batchSize: EVALUATED_ROWS, seqLen: seqLenOf(config, model), ...limit }),
  ];
}

function evaluation(dataset: Dataset, config: RunConfig, model: Model): () => Promise<number> {
  const all = inOrder(dataset, config, model, config.evaluation?.rows);
  return async () => (await meanLoss(model, all)).mean;
}

/** What a run does not take of a file; undefined if it takes all. */
function cutRows(file: string, { groups, truncated, skipped }: Dataset, limit: number): CutRows | undefined {
  if (!truncated && !skipped) return undefined;
  return { file, rows: groups.flat().length + skipped, truncated, limit, skipped };
}

/** A file of rows that each belong to a step. */
interface Log {
  /** Rows that were there. */
  readonly before: readonly { readonly step: number; readonly [name: string]: unknown }[];
  /** Adds rows. */
  append(rows: readonly object[]): void;
}

/** Opens a log and cuts it to the rows up to `step`; before the first update it starts empty. */
async function openLog(path: string, step: number): Promise<Log> {
  const rows = await readJsonl(path, { dropUnfinished: true }).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  const before = step === 0
    ? []
    : rows.map(({ value }) => value as Log["before"][number]).filter((row) => row.step <= step);
  await writeFileAtomic(path, before.map((row) => JSON.stringify(row) + "\n").join(""));
  return { before, append: (rows) => rows.length && appendLine(path, ...rows) };
}

/** The row of an update in metrics.jsonl. */
function metricsRow({ step, loss, gradNorm, learningRate, tokens }: StepRecord) {
  return { step, loss, grad_norm: gradNorm, learning_rate: learningRate, tokens };
}
