import type { Adapter } from "../adapters/adapter.ts";
import { attach } from "../adapters/attach.ts";
import { type LayerSpectrum, spectrum } from "../adapters/spectrum.ts";
import type { Batch } from "../datasets/batches.ts";
import type { HarnessTask } from "../datasets/harness_tasks.ts";
import { loadMultipleChoice, type MultipleChoiceItem } from "../datasets/multiple_choice.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { VERSION } from "../core/version.ts";
import type { Model } from "../nn/model.ts";
import {
  type ChoiceScore,
  type EvaluateOptions,
  meanDivergence,
  meanLoss,
  multipleChoice,
} from "../train/evaluate.ts";
import { attachOptions, evaluationBatches, startData, trainRun } from "../train/run.ts";
import type { RunConfig } from "../train/run_config.ts";
import type { RunEvent } from "../train/run_event.ts";
import { DivergedError } from "../train/train.ts";
import { sharpness } from "./sharpness.ts";

/**
 * Multiple-choice items: a file whose rows say how they are asked, or files by the task of lm-evaluation-harness as which
 * each is asked.
 */
export type ItemFiles = string | Readonly<Partial<Record<HarnessTask, string>>>;

/** Files on which a run is measured when it is over; each as `loadDataset` or `loadMultipleChoice` takes it. */
export interface Measures {
  /** All of the validation split; the rate is chosen on it. */
  readonly validation: string;
  /** The untouched test split. */
  readonly test?: string;
  /** General text, on which forgetting is the loss minus the untouched base's. */
  readonly general?: string;
  /** Multiple-choice items. */
  readonly tasks?: ItemFiles;
  /** Multiple-choice items that the base knows; what the tuned model gets wrong of them is forgotten. */
  readonly kept?: ItemFiles;
  /** Whether the spectrum of what was learnt is measured, but on a quantised base; seconds a run, the base's own decomposition once. */
  readonly spectrum?: boolean;
  /** Batches of `data` whose loss's curvature is measured before the first step; 0 for none. Ten seconds a run or more. */
  readonly sharpness?: number;
}

/** The files among `measures`, in the order of their names, and the task as which its items are asked. */
export function measureFiles(measures: Measures): { readonly file: string; readonly task?: string }[] {
  const names = Object.keys(measures).sort() as (keyof Measures)[];
  return names.flatMap((name) => {
    const value = measures[name];
    if (typeof value === "string") return [{ file: value }];
    return typeof value === "object" ? Object.entries(value).map(([task, file]) => ({ task, file })) : [];
  });
}

/** The same items from other files. */
export function mapItems(items: ItemFiles, change: (file: string) => string): ItemFiles {
  if (typeof items === "string") return change(items);
  return Object.fromEntries(Object.entries(items).map(([task, file]) => [task, change(file)]));
}

/** The spectrum of dW, means over the adapted layers (`spectrum`). */
export interface SpectrumSummary {
  /** ‖dW‖ / ‖W‖. */
  readonly relativeNorm: number;
  /** Effective rank of dW. */
  readonly effectiveRank: number;
  /** ‖BᵀB − I‖; null for "full". */
  readonly drift: number | null;
  /** Share of dW's first left singular vectors inside the space of W's largest, and of its smallest. */
  readonly overlap: { readonly top: number; readonly bottom: number };
}

/** Largest eigenvalues at the start of a run (`sharpness`). */
export interface SharpnessSummary {
  /** Of the Hessian of the loss. */
  readonly hessian: number;
  /** Of the Hessian as Adam sees it. */
  readonly preconditioned: number;
}

/** One finished run: what it was, its curve, and what came of it. */
export interface MeasuredRun {
  /** Hash of everything that determines the run. */
  readonly run: string;
  /** What was run; `base` is the model. */
  readonly config: RunConfig & {
    readonly method: string;
    readonly learningRate: number;
    readonly seed: number;
  };
  /** Name of the adapter (device). */
  readonly device: string;
  /** What the adapter tells of its hardware and driver; rows of earlier versions lack it. */
  readonly driver?: string;
  /** The device is a software driver. */
  readonly isSoftware: boolean;
  /** Words that started the process that made it; rows of earlier versions lack it. */
  readonly command?: string;
  /** Kernel variant by family. */
  readonly variants: Readonly<Record<string, string>>;
  /** Version of the kit. */
  readonly version: string;
  /** Day it was finished, ISO 8601. */
  readonly date: string;
  /** Loss on the held-out rows of `config.evaluation`, nats per token. */
  readonly curve: readonly { readonly step: number; readonly loss: number }[];
  /** Figures at the end, null where not measured or not finite. */
  readonly final: {
    readonly validation: number | null;
    readonly test: number | null;
    /** Share of `tasks` answered rightly, of several tasks the mean of theirs. */
    readonly accuracy: number | null;
    readonly forgetting: number | null;
    /** KL(base ‖ tuned) on general text, nats per token; not measured on a quantised base, which need be none. */
    readonly divergence?: number | null;
    /** Accuracy of the base on the items of `kept`, minus the tuned model's, 0 to 1. */
    readonly tasksLost?: number | null;
    /** By task, where the files of `tasks` are. */
    readonly tasks?: Readonly<Record<string, TaskScore>>;
  };
  /** What was learnt, where it was measured. */
  readonly spectrum?: SpectrumSummary;
  /** Curvature at the start, where it was measured. */
  readonly sharpness?: SharpnessSummary;
  /** Numbers trained. */
  readonly trainable: number;
  /** Highest number of live bytes on the device in training steps; evaluations, whose batches are larger, left out. */
  readonly deviceBytes: number;
  /** Time to make the adapter's start, its kernels compiled, ms. */
  readonly initMs: number;
  /** Time of a training step, evaluations and the first step, which compiles kernels, left out, s. */
  readonly secondsPerStep: number;
  /** The loss stopped being finite. */
  readonly diverged: boolean;
}

/** Shares of a task's items answered rightly. */
export type TaskScore = Pick<ChoiceScore, "accuracy" | "perCharacter" | "items">;

/** Items by task; those of one file under "". */
type Items = ReadonlyMap<string, readonly MultipleChoiceItem[]>;

/** Texts as a run's settings cut and mask them. */
interface Texts {
  readonly validation: readonly Batch[];
  readonly test?: readonly Batch[];
  readonly general?: { readonly batches: readonly Batch[]; readonly base: number };
}

interface Questions {
  readonly tasks?: Items;
  readonly kept?: { readonly items: Items; readonly base: number };
}

/** Measures runs on one model that stays loaded; files and the base's own losses are read once for all runs that read them alike. */
export class Laboratory {
  readonly #gpu: Gpu;
  readonly #model: Model;
  readonly #measures: Measures;
  /** By the settings that batches depend on. */
  readonly #texts = new Map<string, Texts>();
  #questions: Questions | undefined;
  /** What `attach` was asked for once, so that the start's kernels are compiled. */
  readonly #warm = new Set<string>();

  /** A laboratory for runs on `model`, measured on these files. */
  constructor(model: Model, measures: Measures) {
    this.#gpu = model.gpu;
    this.#model = model;
    this.#measures = measures;
  }

  /** What `measure` does once, and what it does once for a method: measures the base, and compiles the start's kernels. */
  async prepare(config: RunConfig): Promise<void> {
    await this.#load(config);
    await this.#warmUp(config);
  }

  /**
   * Carries out one run and measures it.
   *
   * @param run Its hash.
   * @param control As for `trainRun`; `onEvent` hears how it goes.
   * @returns The finished run, diverged or not; undefined if it was stopped.
   */
  async measure(
    run: string,
    config: MeasuredRun["config"],
    control: { stopped(): boolean; resume?: boolean; onEvent?: (event: RunEvent) => void },
  ): Promise<MeasuredRun | undefined> {
    const [gpu, model] = [this.#gpu, this.#model];
    await this.prepare(config);
    const loaded = await this.#load(config);
    const curve: { step: number; loss: number }[] = [];
    let final: MeasuredRun["final"] = { validation: null, test: null, accuracy: null, forgetting: null };
    let [trainable, initMs, training, steps, deviceBytes] = [0, 0, 0, 0, 0];
    const extra: { spectrum?: SpectrumSummary; sharpness?: SharpnessSummary } = {};
    let first: number | undefined;
    let diverged = false;
    let finished = false;
    let since = performance.now();
    gpu.pool.resetPeak();
    const onTrained = async (adapter: Adapter) => {
      final = await this.#final(loaded, adapter.model);
      if (this.#measures.spectrum && adapter.model === model) {
        extra.spectrum = summary(await spectrum(adapter));
      }
    };
    const onAttached = async (adapter: Adapter, ms: number) => {
      [trainable, initMs] = [adapter.trainable, ms];
      if (this.#measures.sharpness) extra.sharpness = await this.#sharpness(adapter, config);
    };
    try {
      for await (const event of trainRun(config, { ...control, gpu, model, onAttached, onTrained })) {
        if (event.loss !== undefined) {
          const ms = performance.now() - since;
          first ??= ms;
          [steps, training] = [steps + 1, training + ms];
          deviceBytes = Math.max(deviceBytes, gpu.pool.peakBytes);
        }
        if (event.evaluation !== undefined) curve.push({ step: event.step, loss: event.evaluation });
        gpu.pool.resetPeak();
        since = performance.now();
        finished ||= event.finished ?? false;
        control.onEvent?.(event);
      }
    } catch (error) {
      if (!(error instanceof DivergedError)) throw error;
      diverged = true;
      deviceBytes = Math.max(deviceBytes, gpu.pool.peakBytes);
    }
    if (!finished && !diverged) return undefined;
    return {
      run,
      config,
      device: gpu.info.name,
      driver: gpu.info.driver,
      isSoftware: gpu.info.isSoftware,
      command: commandLine(),
      variants: Object.fromEntries([...gpu.variants].sort()),
      version: VERSION,
      date: new Date().toISOString().slice(0, 10),
      curve: curve.filter(({ loss }) => Number.isFinite(loss)),
      final,
      ...extra,
      trainable,
      deviceBytes,
      initMs,
      secondsPerStep: (steps > 1 ? (training - first!) / (steps - 1) : training) / 1000,
      diverged,
    };
  }

  /** Attaches what `config` asks for and takes it off again, once for all seeds. */
  async #warmUp(config: RunConfig): Promise<void> {
    if (config.init !== undefined || config.quantize !== undefined) return;
    const options = await attachOptions(config);
    const key = JSON.stringify({ ...options, seed: undefined });
    if (this.#warm.has(key)) return;
    using _adapter = await attach(this.#model, { ...options, ...await startData(config, this.#model) });
    await this.#gpu.settled();
    this.#warm.add(key);
  }

  async #load(config: RunConfig): Promise<Texts & Questions> {
    const { seqLen, maskPrompt = true } = config;
    const key = JSON.stringify([seqLen, maskPrompt]);
    if (!this.#texts.has(key)) this.#texts.set(key, await this.#readTexts(config));
    this.#questions ??= await this.#readQuestions();
    return { ...this.#texts.get(key)!, ...this.#questions };
  }

  async #readTexts(config: RunConfig): Promise<Texts> {
    const model = this.#model;
    const { validation, test, general } = this.#measures;
    const batches = (path: string) => evaluationBatches(path, config, model);
    const generalBatches = general === undefined ? undefined : await batches(general);
    return {
      validation: await batches(validation),
      ...(test !== undefined && { test: await batches(test) }),
      ...(generalBatches && {
        general: {
          batches: generalBatches,
          base: (await meanLoss(model, generalBatches, { changes: null })).mean,
        },
      }),
    };
  }

  async #readQuestions(): Promise<Questions> {
    const model = this.#model;
    const { tasks, kept } = this.#measures;
    const read = async (files?: ItemFiles): Promise<Items | undefined> => {
      const { tokenizer } = model;
      if (files === undefined || !tokenizer) return undefined;
      if (typeof files === "string") return new Map([["", await loadMultipleChoice(files, tokenizer)]]);
      const items = new Map<string, MultipleChoiceItem[]>();
      for (const [task, file] of Object.entries(files)) {
        items.set(task, await loadMultipleChoice(file, tokenizer, { task: task as HarnessTask }));
      }
      return items;
    };
    const [items, known] = [await read(tasks), await read(kept)];
    return {
      ...(items && { tasks: items }),
      ...(known && {
        kept: { items: known, base: meanAccuracy(await choiceScores(model, known, { changes: null })) },
      }),
    };
  }

  async #final(
    { validation, test, general, tasks, kept }: Texts & Questions,
    model: Model,
  ): Promise<MeasuredRun["final"]> {
    const loss = async (batches: readonly Batch[]) => finite((await meanLoss(model, batches)).mean);
    const figures = { validation: await loss(validation), test: test ? await loss(test) : null };
    const scores = tasks && await choiceScores(model, tasks);
    const moved = general && model === this.#model && await meanDivergence(model, general.batches);
    const forgetting = general &&
      (moved ? moved.loss : (await meanLoss(model, general.batches)).mean) - general.base;
    return {
      ...figures,
      accuracy: scores ? meanAccuracy(scores) : null,
      forgetting: forgetting === undefined ? null : finite(forgetting),
      ...(moved && { divergence: finite(moved.mean) }),
      ...(kept && { tasksLost: kept.base - meanAccuracy(await choiceScores(model, kept.items)) }),
      ...(scores && !scores.has("") && { tasks: Object.fromEntries(scores) }),
    };
  }

  async #sharpness(adapter: Adapter, config: RunConfig): Promise<SharpnessSummary> {
    const all = await evaluationBatches(config.data, config, this.#model);
    const batches = all.slice(0, this.#measures.sharpness);
    const value = async (preconditioner: "none" | "adam") =>
      (await sharpness(adapter, batches, { preconditioner })).value;
    return { hessian: await value("none"), preconditioned: await value("adam") };
  }
}

/** `olora` or the name of the script that runs, and its arguments. */
function commandLine(): string {
  const script = Deno.mainModule.endsWith("/lib/cli/main.ts") ? "olora" : Deno.mainModule.split("/").at(-1);
  return [script, ...Deno.args].join(" ");
}

function summary(layers: readonly LayerSpectrum[]): SpectrumSummary {
  const mean = (value: (layer: LayerSpectrum) => number) =>
    layers.reduce((sum, layer) => sum + value(layer), 0) / layers.length;
  return {
    relativeNorm: mean(({ relativeNorm }) => relativeNorm),
    effectiveRank: mean(({ effectiveRank }) => effectiveRank),
    drift: layers.every(({ drift }) => drift) ? mean(({ drift }) => drift!.b) : null,
    overlap: {
      top: mean(({ overlap }) => overlap!.left.top),
      bottom: mean(({ overlap }) => overlap!.left.bottom),
    },
  };
}

async function choiceScores(
  model: Model,
  tasks: Items,
  options: EvaluateOptions = {},
): Promise<ReadonlyMap<string, TaskScore>> {
  const scores = new Map<string, TaskScore>();
  for (const [task, all] of tasks) {
    const { accuracy, perCharacter, items } = await multipleChoice(model, all, options);
    scores.set(task, { accuracy, perCharacter, items });
  }
  return scores;
}

function meanAccuracy(scores: ReadonlyMap<string, TaskScore>): number {
  return scores.values().reduce((sum, { accuracy }) => sum + accuracy, 0) / scores.size;
}

function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}
