import { findMethod } from "../adapters/methods.ts";
import type { MethodOptions } from "../adapters/options.ts";
import type { QuantizedDType } from "../core/quantize.ts";
import type { Schedule } from "../optim/schedule.ts";
import { checkQuantize } from "./quantized_base.ts";

/** A training as plain JSON: what `olora train`, a sweep and a notebook's Worker run. */
export interface RunConfig extends MethodOptions {
  /** Model, as `loadModel` takes it. */
  readonly model: string;
  /**
   * Seed of an order of the base's features, which changes nothing but what "first columns" means (`randomPermutations`);
   * what is trained then fits that order alone. Default: as stored.
   */
  readonly permutation?: number;
  /**
   * Quantises the base's linear layers after loading, as `attachQuantized` does: a method that starts away from zero has its
   * start taken out of the base first, and with `out` that base is written to `base` in there, in f32, as its adapter fits no
   * other. Method "loftq" is there for it.
   */
  readonly quantize?: QuantizedDType;
  /** Training data in one of the forms of `loadDataset`: a path, or a dataset's file on the hub; also a part of the rows. */
  readonly data: string;
  /** Whether only completions and the assistant's turns count in the loss, of `evaluation` too. Default true. */
  readonly maskPrompt?: boolean;
  /** Folder for adapter, metrics.jsonl and checkpoint; without it nothing is written. */
  readonly out?: string;
  /** One of `methodNames`. Default "olora". */
  readonly method?: string;
  /** Rank. Default that of `init`, else 8. */
  readonly rank?: number;
  /** α, the scale is α / rank. Default the rank, or where that is not given either, such that `init` keeps its scale. */
  readonly alpha?: number;
  /** Other ranks, by a regular expression for the end of a module's path, as PEFT's `rank_pattern`. Default those of `init`. */
  readonly rankPattern?: Readonly<Record<string, number>>;
  /**
   * Other values of α, likewise. Default, where neither `rank` nor `alpha` is given, such that each layer of `init` keeps its
   * scale.
   */
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Layers to adapt. Default those of `init`, else the family's (q_proj and v_proj; c_attn of GPT-2); for "full" all weights. */
  readonly targets?: string | readonly string[];
  /** Dropout of the branch's input. Default 0. */
  readonly dropout?: number;
  /** PEFT folder with the starting factors. */
  readonly init?: string;
  /** Batches of the training data, from the first one on, that a start looks at, as those of lora-ga and eva do. Default the method's own. */
  readonly startBatches?: number;
  /** Updates. Default 200; on batches already made, as many as there are. */
  readonly steps?: number;
  /** Sequences of a batch. Default 8. */
  readonly batchSize?: number;
  /** Longest sequence, predicted tokens. Default 128, or the model's context if that is shorter. */
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
  /** Makes each layer's activations again in the backward pass: less memory, the same bits. Default false. */
  readonly recompute?: boolean;
  /** Seed of data order, random starts and dropout. Default 0. */
  readonly seed?: number;
  /** Held-out loss while training. */
  readonly evaluation?: EvaluationConfig;
  /** Updates between checkpoints; 0 for only when stopped. Default 0. */
  readonly checkpointEvery?: number;
}

/** Which held-out rows are scored while training, and when. */
export interface EvaluationConfig {
  /** The rows, as `loadDataset` takes them. */
  readonly data: string;
  /** Updates between evaluations; one is made before the first update and one after the last. */
  readonly every: number;
  /** Only the first rows; all by default. */
  readonly rows?: number;
}

const SETTINGS: Readonly<Record<keyof RunConfig, true>> = {
  model: true,
  permutation: true,
  data: true,
  maskPrompt: true,
  quantize: true,
  out: true,
  method: true,
  rank: true,
  alpha: true,
  rankPattern: true,
  alphaPattern: true,
  targets: true,
  freeze: true,
  feedforward: true,
  basis: true,
  balance: true,
  iterations: true,
  type: true,
  gamma: true,
  stable: true,
  rho: true,
  targetRank: true,
  initWarmup: true,
  finalWarmup: true,
  maskInterval: true,
  orthogonality: true,
  innerRank: true,
  maxRank: true,
  moves: true,
  mergeInterval: true,
  restartWarmup: true,
  subtract: true,
  keep: true,
  norm: true,
  magnitude: true,
  ratio: true,
  dropout: true,
  init: true,
  startBatches: true,
  steps: true,
  batchSize: true,
  seqLen: true,
  learningRate: true,
  schedule: true,
  warmup: true,
  weightDecay: true,
  clip: true,
  accumulate: true,
  recompute: true,
  seed: true,
  evaluation: true,
  checkpointEvery: true,
};

/** Names of all settings of a run. */
export const settingNames: readonly (keyof RunConfig)[] = Object.keys(SETTINGS) as (keyof RunConfig)[];

/**
 * Checks what can be checked without a model: that every setting is known, that paths are there, and the numbers that
 * shape batches and evaluations. The optimiser and `attach` check their own.
 *
 * @throws {TypeError} If `model` or `data` is missing or no text.
 * @throws {RangeError} If a setting is unknown or makes no sense.
 */
export function checkRunConfig(config: RunConfig): void {
  const unknown = Object.keys(config).find((name) => !Object.hasOwn(SETTINGS, name));
  if (unknown !== undefined) {
    throw new RangeError(
      `Cannot train with "${unknown}": unknown setting, expected some of ${settingNames.join(", ")}`,
    );
  }
  for (const name of ["model", "data"] as const) {
    if (typeof config[name] === "string") continue;
    throw new TypeError(`Cannot train with ${name} ${JSON.stringify(config[name])}: expected a path`);
  }
  const whole = (name: string, value: number | undefined, least: number) => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
    throw new RangeError(
      `Cannot train with ${name} ${JSON.stringify(value)}: expected a whole number >= ${least}`,
    );
  };
  checkQuantize(config);
  whole("permutation", config.permutation, 0);
  whole("batchSize", config.batchSize, 1);
  whole("seqLen", config.seqLen, 1);
  whole("startBatches", config.startBatches, 1);
  whole("checkpointEvery", config.checkpointEvery, 0);
  whole("evaluation.every", config.evaluation?.every ?? 1, 1);
  whole("evaluation.rows", config.evaluation?.rows, 1);
  if (config.startBatches !== undefined && (config.init !== undefined || !startBatchesOf(config))) {
    throw new RangeError(
      `Cannot train with startBatches ${config.startBatches}: expected none, as ${
        config.init === undefined
          ? `the start of ${config.method ?? "olora"} looks at no data`
          : "init is given"
      }`,
    );
  }
  const { method = "olora", init } = config;
  if (init === undefined || method === "loftq") return;
  if (method === "full" || findMethod(method).layer) {
    throw new RangeError(`Cannot train with init ${init}: expected none, as "${method}" has no A and B`);
  }
}

/** How many batches of the training data the start of a run looks at; 0 where it looks at none. */
export function startBatchesOf({ method = "olora", init, startBatches }: RunConfig): number {
  const { batches = 0 } = method === "loftq" ? {} : findMethod(method);
  return batches && init === undefined ? startBatches ?? batches : 0;
}

/** What determines a run's numbers, as text: its settings in one order, without what changes none of them. */
export function runIdentity(config: RunConfig): string {
  const names = settingNames.filter((name) =>
    name !== "out" && name !== "checkpointEvery" && name !== "recompute"
  );
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, config[name]])));
}
