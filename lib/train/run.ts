import type { Adapter } from "../adapters/adapter.ts";
import { attach } from "../adapters/attach.ts";
import { saveAdapter } from "../adapters/save.ts";
import { type Batch, batches, batchesInOrder } from "../datasets/batches.ts";
import { type Dataset, loadDataset } from "../datasets/load.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { appendLine, readJsonl } from "../io/jsonl.ts";
import { readPeftAdapter } from "../io/peft.ts";
import { loadModel, type Model } from "../nn/model.ts";
import type { Schedule } from "../optim/schedule.ts";
import { readCheckpoint, restoreCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { meanLoss } from "./evaluate.ts";
import type { RunEvent } from "./run_event.ts";
import { type StepRecord, Trainer } from "./train.ts";

/** A training as plain JSON: what `olora train`, a sweep and a notebook's Worker run. */
export interface RunConfig {
  /** Model: "tiny" or a folder. */
  readonly model: string;
  /** Training data, a path in one of the forms of `loadDataset`. */
  readonly data: string;
  /** Folder for adapter, metrics.jsonl and checkpoint; without it nothing is written. */
  readonly out?: string;
  /** "olora", "lora" or "full". Default "olora". */
  readonly method?: string;
  /** Rank. Default 8. */
  readonly rank?: number;
  /** α, the scale is α / rank. Default the rank. */
  readonly alpha?: number;
  /** Layers to adapt. Default q_proj and v_proj; for "full" all weights. */
  readonly targets?: string | readonly string[];
  /** Factor that is not trained. */
  readonly freeze?: "A" | "B";
  /** Dropout of the branch's input. Default 0. */
  readonly dropout?: number;
  /** PEFT folder with the starting factors. */
  readonly init?: string;
  /** Updates. Default 200. */
  readonly steps?: number;
  /** Sequences of a batch. Default 8. */
  readonly batchSize?: number;
  /** Longest sequence, predicted tokens. Default 128. */
  readonly seqLen?: number;
  /** Peak rate. Default 1e-3. */
  readonly learningRate?: number;
  /** Course of the rate. Default "constant". */
  readonly schedule?: Schedule;
  /** Updates of warm-up. Default 0. */
  readonly warmup?: number;
  /** Weight decay. Default 0. */
  readonly weightDecay?: number;
  /** Gradient norm to clip to, 0 for none. Default 0. */
  readonly clip?: number;
  /** Batches of one update. Default 1. */
  readonly accumulate?: number;
  /** Seed of data order, random starts and dropout. Default 0. */
  readonly seed?: number;
  /** Held-out loss while training. */
  readonly evaluation?: {
    /** Path of the rows. */
    readonly data: string;
    /** Updates between evaluations; one is made before the first update and one after the last. */
    readonly every: number;
    /** Only the first rows; all by default. */
    readonly rows?: number;
  };
  /** Updates between checkpoints; 0 for only when stopped. Default 0. */
  readonly checkpointEvery?: number;
}

/** How a run is carried out; none of it changes its numbers. */
export interface RunControl {
  /** Asked between updates. */
  stopped(): boolean;
  /** Device to run on, which stays open. */
  gpu: Gpu;
  /** Goes on from the checkpoint in `out` if there is one. Default false. */
  resume?: boolean;
  /** Model to train on in place of loading `config.model`; it stays open. */
  model?: Model;
  /** Called when the training is over, while its adapter is still attached. */
  onTrained?: (adapter: Adapter) => Promise<void>;
}

/**
 * Carries out a run and says how it goes: an event for each update, evaluation and checkpoint.
 *
 * With `out`, metrics.jsonl gets a row for each update; at the end the adapter is written there; when stopped, a
 * checkpoint that a run with `resume` goes on from, bit for bit on the same device.
 *
 * @throws {RangeError} If a setting makes no sense; before anything is allocated where that can be known.
 * @throws {DivergedError} If a loss or gradient is not finite; a checkpoint made before stays.
 */
export async function* trainRun(config: RunConfig, control: RunControl): AsyncGenerator<RunEvent> {
  const { gpu } = control;
  const { out, steps = 200 } = config;
  const place = out === undefined ? undefined : `${out}/checkpoint`;
  const identity = JSON.stringify({ ...config, out: undefined, checkpointEvery: undefined });
  const stored = control.resume && place !== undefined ? await readCheckpoint(place) : undefined;
  for (const [kernel, variant] of stored?.variants ?? []) gpu.variants.set(kernel, variant);
  using loaded = control.model ? undefined : await loadModel(config.model, { gpu });
  const model = control.model ?? loaded!;
  const evaluate = await evaluation(config, model);
  const dataset = await dataOf(config.data, config, model);
  using adapter = await attach(model, await attachOptions(config));
  const position = stored?.position ?? 0;
  using trainer = new Trainer(adapter, batchesOf(dataset, config, position), { ...config, steps }, position);
  if (stored) await restoreCheckpoint(stored, trainer, identity);
  const metrics = out === undefined ? undefined : await openMetrics(out, trainer.step);

  const every = config.evaluation?.every ?? 0;
  const checkpointEvery = config.checkpointEvery ?? 0;
  const event = (more: Partial<RunEvent>): RunEvent => ({ step: trainer.step, steps, ...more });
  const checkpoint = async () => {
    await saveCheckpoint(place!, trainer, identity);
    return event({ checkpoint: place! });
  };
  if (evaluate && trainer.step === 0) yield event({ evaluation: await evaluate() });
  while (trainer.step < steps) {
    const stops = [every, checkpointEvery].filter((n) => n > 0).map((n) =>
      (Math.floor(trainer.step / n) + 1) * n
    );
    for await (const records of trainer.run({ until: Math.min(steps, ...stops), stopped: control.stopped })) {
      metrics?.(records);
      for (const { step, ...record } of records) yield { step, steps, ...record };
    }
    const due = (n: number) => n > 0 && trainer.step % n === 0;
    if (evaluate && (due(every) || trainer.step === steps)) yield event({ evaluation: await evaluate() });
    if (control.stopped() && trainer.step < steps) {
      if (place !== undefined) yield await checkpoint();
      return;
    }
    if (place !== undefined && due(checkpointEvery) && trainer.step < steps) yield await checkpoint();
  }
  await control.onTrained?.(adapter);
  if (out !== undefined) {
    await saveAdapter(adapter, out);
    await Deno.remove(place!, { recursive: true }).catch(() => {});
  }
  yield event({ finished: true });
}

async function attachOptions(config: RunConfig) {
  const { method, rank, alpha, targets, freeze, dropout, seed, init } = config;
  const start = init === undefined ? undefined : await readPeftAdapter(init);
  const given = { method, rank, alpha, targets, freeze, dropout, seed, init: start?.factors };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function dataOf(path: string, { seqLen = 128 }: RunConfig, model: Model): Promise<Dataset> {
  return await loadDataset(path, model.tokenizer, { seqLen, vocabularySize: model.config.vocabularySize });
}

function batchesOf(dataset: Dataset, config: RunConfig, position: number): Iterator<Batch> {
  const { batchSize = 8, seqLen = 128, seed = 0 } = config;
  return batches(dataset, { batchSize, seqLen, seed, position });
}

async function evaluation(config: RunConfig, model: Model): Promise<(() => Promise<number>) | undefined> {
  if (!config.evaluation) return;
  const { data, rows } = config.evaluation;
  const { seqLen = 128 } = config;
  const dataset = await dataOf(data, config, model);
  const all = [
    ...batchesInOrder(dataset, { batchSize: 64, seqLen, ...(rows !== undefined && { limit: rows }) }),
  ];
  return async () => (await meanLoss(model, all)).mean;
}

/** Cuts metrics.jsonl to the rows before the next update, and gives what appends to it. */
async function openMetrics(out: string, step: number): Promise<(records: StepRecord[]) => void> {
  const path = `${out}/metrics.jsonl`;
  await Deno.mkdir(out, { recursive: true });
  const rows = await readJsonl(path, { dropUnfinished: true }).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  const kept = rows.map(({ value }) => value as { step: number }).filter((row) => row.step <= step);
  await writeFileAtomic(path, kept.map((row) => JSON.stringify(row) + "\n").join(""));
  return (records) => {
    const named = records.map(({ step, loss, gradNorm, learningRate, tokens }) => ({
      step,
      loss,
      grad_norm: gradNorm,
      learning_rate: learningRate,
      tokens,
    }));
    appendLine(path, ...named);
  };
}
