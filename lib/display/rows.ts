import { type CurvePoint, mean } from "./statistics.ts";

/** One finished run, as `train` and `sweep` append it to a JSONL file: config, curve and final figures. */
export interface RunRow {
  /** Hash of everything that determines the run. */
  readonly run: string;
  /** What was run. */
  readonly config: RowConfig;
  /** Name of the adapter (device) it ran on. */
  readonly device: string;
  /** The device is a software driver. */
  readonly isSoftware: boolean;
  /** Loss on the fixed part of the validation split, from step 0 on; nats per token. */
  readonly curve: readonly CurvePoint[];
  /** Figures at the end, null where not measured or not finite. */
  readonly final: {
    /** Loss on all of the validation split, nats per token. */
    readonly validation: number | null;
    /** Loss on the untouched test split, nats per token. */
    readonly test?: number | null;
    /** Share of multiple-choice items answered rightly, 0 to 1. */
    readonly accuracy?: number | null;
    /** Loss on general text minus the untouched base's, nats per token. */
    readonly forgetting?: number | null;
    /** KL(base ‖ tuned) on general text, nats per token. */
    readonly divergence?: number | null;
    /** Accuracy of the base on tasks it knew, minus the tuned model's, 0 to 1. */
    readonly tasksLost?: number | null;
  };
  /** The spectrum of what was learnt, where it was measured. */
  readonly spectrum?: {
    /** ‖dW‖ / ‖W‖, mean over the adapted layers. */
    readonly relativeNorm?: number;
    /** Effective rank of dW, mean over the adapted layers. */
    readonly effectiveRank?: number;
    /** Share of dW's first left singular vectors inside the space of W's largest, and of its smallest. */
    readonly overlap?: { readonly top: number; readonly bottom: number };
    /** ‖BᵀB − I‖ (Frobenius), mean over the adapted layers; null where there is no B. */
    readonly drift: number | null;
  };
  /** Number of trained parameters. */
  readonly trainable: number;
  /** Highest number of live bytes on the device. */
  readonly deviceBytes: number;
  /** Time to make the adapter's start, ms. */
  readonly initMs: number;
  /** Time of a training step, s. */
  readonly secondsPerStep?: number;
  /** The loss stopped being finite. */
  readonly diverged: boolean;
}

/** The part of a run's config that a comparison needs. */
export interface RowConfig {
  /** `olora`, `lora`, `full`, … */
  readonly method: string;
  /** The factor kept fixed, if one is. */
  readonly freeze?: string;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Seed of data order, dropout and random starts. */
  readonly seed: number;
  /** The base model, as the config names it. */
  readonly model?: string;
  /** The permutation, which keeps its function, that the base was run in. */
  readonly permutation?: number;
  /** Optimiser steps asked for. */
  readonly steps?: number;
  /** Everything else. */
  readonly [key: string]: unknown;
}

/** Runs of one method at one learning rate, over seeds and bases. */
export interface RunGroup {
  /** Colour key, `methodKey` of the runs. */
  readonly method: string;
  /** Learning rate of all of them. */
  readonly rate: number;
  /** The runs. */
  readonly rows: readonly RunRow[];
}

/** Settings that make a variant of a method, its options and the base's type, in the order in which its key names them. */
const VARIANTS = [
  "freeze",
  "feedforward",
  "basis",
  "balance",
  "subtract",
  "keep",
  "norm",
  "magnitude",
  "ratio",
  "gamma",
  "stable",
  "rho",
  "type",
  "iterations",
  "targetRank",
  "innerRank",
  "maxRank",
  "moves",
  "initWarmup",
  "finalWarmup",
  "maskInterval",
  "orthogonality",
  "mergeInterval",
  "restartWarmup",
  "quantize",
];

/** What runs of one setting may differ in: the rate, what they are repeated over, and what changes no number of theirs. */
const WITHIN = [
  "learningRate",
  "seed",
  "model",
  "permutation",
  "out",
  "checkpointEvery",
  "recompute",
  "evaluation",
];

/** Key of a method and of its colour: `olora`, `lora`, `full`, `olora-freeze-B`, `olora-basis-last`, … */
export function methodKey(config: RowConfig): string {
  const options = VARIANTS.filter((name) => config[name] !== undefined);
  return [config.method, ...options.flatMap((name) => [name, String(config[name])])].join("-");
}

/**
 * Key of all settings of a run but its rate, seed and base, as text: what is not the same is not averaged. Settings of
 * factors count for nothing in full fine-tuning.
 */
export function settingKey(config: RowConfig): string {
  const without = config.method === "full" ? [...WITHIN, "rank", "alpha"] : WITHIN;
  const told = Object.entries(config).filter(([name, value]) =>
    value !== undefined && !without.includes(name)
  );
  return JSON.stringify(told.sort(([a], [b]) => a < b ? -1 : 1));
}

/** The method as a reader knows it. */
export function methodName(key: string): string {
  const [method, ...options] = key.split(new RegExp(`-(${VARIANTS.join("|")})-`));
  const name = Object.hasOwn(NAMES, method) ? NAMES[method] : method;
  const variants = Array.from({ length: options.length / 2 }, (_, i) => {
    const [option, value] = options.slice(2 * i, 2 * i + 2);
    return VARIANT_NAMES[option]?.(value) ??
      `${option.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`;
  });
  return [name, ...variants].join(", ");
}

const NAMES: Readonly<Record<string, string>> = {
  "olora": "OLoRA",
  "lora": "LoRA",
  "full": "Full fine-tuning",
  "pissa": "PiSSA",
  "milora": "MiLoRA",
  "mica": "MiCA",
  "rslora": "rsLoRA",
  "lora+": "LoRA+",
  "lora-fa": "LoRA-FA",
  "lora-ga": "LoRA-GA",
  "eva": "EVA",
  "orthogonal": "LoRA from orthogonal factors",
  "dora": "DoRA",
  "mora": "MoRA",
  "remora": "ReMoRA",
  "flora": "FLoRA",
  "adalora": "AdaLoRA",
  "lora2": "LoRA²",
  "alora": "ALoRA",
};

const BASES: Readonly<Record<string, string>> = { random: "random basis", rows: "basis of rows" };

const VARIANT_NAMES: Readonly<Record<string, (value: string) => string>> = {
  freeze: (factor) => `${factor} frozen`,
  basis: (basis) =>
    ["last", "permuted", "pivoted"].includes(basis) ? `${basis} columns` : BASES[basis] ?? basis,
  balance: (d) => `balance ${d}`,
  subtract: () => "nothing subtracted",
  keep: () => "kept orthonormal",
  norm: () => "A of OLoRA's norm",
  magnitude: () => "DoRA's magnitude",
  gamma: (gamma) => `γ ${gamma}`,
  stable: (form) => form === "paper" ? "the paper's size" : "PEFT's size",
  rho: (rho) => `ρ ${rho}`,
  quantize: (dtype) => `base in ${dtype}`,
};

/** A learning rate as people write it: `3e-4`. */
export function rateName(rate: number): string {
  const [digits, power] = rate.toExponential(2).split("e");
  return `${Number(digits)}e${Number(power)}`;
}

/**
 * All groups of `rows`, in the order of `olora`, `lora`, `full`, others, and by ascending rate: the runs of a group differ in
 * seed and base alone. A run that several devices made, as the file of a sweep in parts may hold, counts once, the first
 * time: it is no second sample.
 */
export function groupRuns(rows: readonly RunRow[]): RunGroup[] {
  const groups = Map.groupBy(
    eachRunOnce(rows),
    ({ config }) => `${settingKey(config)}\n${config.learningRate}`,
  );
  const first = ["olora", "lora", "full"];
  const order = (method: string) => first.includes(method) ? first.indexOf(method) : first.length;
  return [...groups.values()]
    .map((rows) => ({ method: methodKey(rows[0].config), rate: rows[0].config.learningRate, rows }))
    .sort((a, b) => order(a.method) - order(b.method) || a.method.localeCompare(b.method) || a.rate - b.rate);
}

/** The first row of each run, whichever device made it. */
function eachRunOnce(rows: readonly RunRow[]): RunRow[] {
  const settings = ({ config }: RunRow) => JSON.stringify(Object.entries(config).sort());
  return [...Map.groupBy(rows, settings).values()].map(([first]) => first);
}

/** The groups of `rows` at one learning rate, one for each setting that was run there. */
export function runsAtRate(rows: readonly RunRow[], rate: number): RunGroup[] {
  return groupRuns(rows).filter((group) => group.rate === rate);
}

/**
 * Each setting's group of `rows` at its best rate in `search`: the same rows, or others that were made to find the rate
 * (`bestGroup`). Settings whose every rate diverged are left out.
 */
export function runsAtBestRate(rows: readonly RunRow[], search: readonly RunRow[] = rows): RunGroup[] {
  const found = [...Map.groupBy(groupRuns(search), groupKey).values()]
    .flatMap((groups) => bestGroup(groups) ?? []);
  if (search === rows) return found;
  const groups = groupRuns(rows);
  return found.flatMap((other) =>
    groups.filter((group) => groupKey(group) === groupKey(other) && group.rate === other.rate)
  );
}

function groupKey({ rows: [{ config }] }: RunGroup): string {
  return settingKey(config);
}

/**
 * Of one setting's groups, that of the lowest validation loss at the end, a mean over bases of the means over their runs,
 * so that no base counts more because it has more runs. Rates are compared on bases that all of them were run on
 * (`comparedRates`), as a rate is no better for an easier base. Undefined if a run of each of them diverged.
 */
export function bestGroup(groups: readonly RunGroup[]): RunGroup | undefined {
  const { bases, groups: compared } = comparedRates(groups);
  const losses = compared.map(({ rows }) =>
    mean([...bases].map((base) => mean(rows.filter(({ config }) => config.model === base).map(endLoss))))
  );
  const lowest = Math.min(...losses);
  return Number.isFinite(lowest) ? compared[losses.indexOf(lowest)] : undefined;
}

/** Rates that it takes for one to have two on either side. */
const ENOUGH_RATES = 5;

/**
 * Of one setting's groups, the rates that can be compared, and the bases that all of them were run on: as many bases as
 * have five rates in common, else as many rates as one base has.
 */
export function comparedRates(
  groups: readonly RunGroup[],
): { readonly bases: ReadonlySet<string | undefined>; readonly groups: readonly RunGroup[] } {
  const basesOf = ({ rows }: RunGroup) => new Set(rows.map(({ config }) => config.model));
  const found = [...new Set(groups.flatMap((group) => [...basesOf(group)]))].map((base) => {
    const own = groups.filter((group) => basesOf(group).has(base));
    return { groups: own, bases: own.map(basesOf).reduce((a, b) => a.intersection(b)) };
  });
  const order = (a: typeof found[number], b: typeof found[number]) =>
    Math.min(b.groups.length, ENOUGH_RATES) - Math.min(a.groups.length, ENOUGH_RATES) ||
    b.bases.size - a.bases.size || b.groups.length - a.groups.length;
  return found.sort(order)[0] ?? { bases: new Set(), groups: [] };
}

/** Mean validation loss of a group at the end, nats per token; infinity if one of its runs diverged. */
export function finalLoss({ rows }: RunGroup): number {
  return mean(rows.map(endLoss));
}

/** Validation loss of one run at the end; infinity if it diverged. */
export function endLoss({ diverged, final: { validation } }: RunRow): number {
  return diverged || typeof validation !== "number" || !Number.isFinite(validation) ? Infinity : validation;
}

/**
 * Whether two lower and two higher rates of the setting were compared with the group's (`comparedRates`): only then is its
 * best rate an optimum and not the edge of a grid.
 */
export function isInterior(group: RunGroup, rows: readonly RunRow[]): boolean {
  const own = groupRuns(rows).filter((other) => groupKey(other) === groupKey(group));
  const rates = comparedRates(own).groups.map(({ rate }) => rate);
  const [below, above] = [
    rates.filter((rate) => rate < group.rate),
    rates.filter((rate) => rate > group.rate),
  ];
  return below.length >= 2 && above.length >= 2;
}
