import { isRegExp } from "../io/peft_format.ts";
import { isTarget } from "../io/peft_targets.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { LayerForm } from "./method.ts";
import { findMethod, METHODS } from "./methods.ts";

/** Which r columns of W span the space of B₀. */
export type Basis = "first" | "last" | "permuted" | "pivoted" | "random" | "rows";

/** Options that only some methods take. */
export interface MethodOptions {
  /** The factor that is not trained, if any. */
  readonly freeze?: "A" | "B";
  /**
   * flora with `freeze` "B": targets whose inputs are scaled in place of their outputs, as `targets` names layers; PEFT's
   * `feedforward_modules` of IA³.
   */
  readonly feedforward?: string | readonly string[];
  /**
   * olora: B₀ is an orthonormal basis of the first r columns of W (default), the last r, r drawn by the seed, or the r
   * that column pivoting takes; "random": of no columns but a random one; "rows": QR of Wᵀ, so A₀ is orthonormal and
   * spans the first r rows. The other factor is what W leaves: A₀ = B₀ᵀ W, or B₀ = W A₀ᵀ.
   */
  readonly basis?: Basis;
  /** olora: d, which moves size between the factors, B₀ d and A₀ / d; the function stays. Default 1. */
  readonly balance?: number;
  /** olora: whether s B₀ A₀ is subtracted, so that training starts at the base. Default true. */
  readonly subtract?: boolean;
  /** olora: B is made orthonormal again after each update. */
  readonly keep?: "orthonormal";
  /** lora: A₀ of each layer is scaled to the Frobenius norm that olora's has. */
  readonly norm?: "olora";
  /** olora, pissa, lora-ga: the lengths of the merged weight's rows are trained too, as in dora; PEFT's `use_dora` with that start. */
  readonly magnitude?: true;
  /** pissa: rounds of subspace iteration in place of a whole decomposition. */
  readonly iterations?: number;
  /** mora: how x is brought to the side of the matrix: 1 adds up groups, 6 turns each (default). */
  readonly type?: 1 | 6;
  /** lora-ga: γ, which the size of the start falls with, as 1 / √γ in each factor that has it. Default 16. */
  readonly gamma?: number;
  /**
   * lora-ga: what gives the factors their size: "peft" (default), the gradient's singular values and γ in B; "paper", γ in
   * both.
   */
  readonly stable?: "peft" | "paper";
  /** eva: ρ, the largest rank that a layer may get over r; 1 leaves all at r. Default 2. */
  readonly rho?: number;
  /** adalora, lora2: triplets of a layer at the end, on average over the layers. Default two thirds of the rank. */
  readonly targetRank?: number;
  /** adalora, lora2, alora: updates before the first cut. Default a tenth of all. */
  readonly initWarmup?: number;
  /** adalora, lora2, alora: updates after the last cut. Default three tenths of all. */
  readonly finalWarmup?: number;
  /** adalora, lora2, alora: updates from one cut to the next. Default 10; of alora such that there are eight or fewer. */
  readonly maskInterval?: number;
  /** adalora, lora2: weight of the factors' mean distance from orthonormal ones beside the loss in nats. Default 0.1. */
  readonly orthogonality?: number;
  /** alora: most ranks that a layer can get, at most min(out, in). Default twice the rank, or min(out, in) where that is less. */
  readonly maxRank?: number;
  /** alora: ranks that go from layers to others at a time. Default one for each layer. */
  readonly moves?: number;
  /** remora: updates from one merge, after which training begins anew, to the next. Default a fifth of the steps. */
  readonly mergeInterval?: number;
  /** remora: updates after each merge in which the learning rate rises again from zero. Default 0. */
  readonly restartWarmup?: number;
  /** lora2: k, the rank of the products that its singular vectors are. Default 8. */
  readonly innerRank?: number;
  /** lora+: learning rate of B over that of A. Default 16. */
  readonly ratio?: number;
}

interface Rule {
  readonly expected: string;
  allows(value: unknown): boolean;
}

const oneOf = (...values: readonly unknown[]): Rule => ({
  expected: values.map((value) => JSON.stringify(value)).join(" or "),
  allows: (value) => values.includes(value),
});
const count: Rule = {
  expected: "a whole number >= 0",
  allows: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
};
const atLeastOne: Rule = {
  expected: "a whole number >= 1",
  allows: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
};
const notNegative: Rule = {
  expected: "a number >= 0",
  allows: (value) => Number.isFinite(value) && (value as number) >= 0,
};
const positive: Rule = {
  expected: "a number > 0",
  allows: (value) => Number.isFinite(value) && (value as number) > 0,
};

const RULES: Readonly<Record<keyof MethodOptions, Rule>> = {
  freeze: oneOf("A", "B"),
  feedforward: {
    expected: "a list of names or a regular expression",
    allows: (value) =>
      typeof value === "string"
        ? isRegExp(value)
        : (Array.isArray(value) && value.every((name) => typeof name === "string")),
  },
  basis: oneOf("first", "last", "permuted", "pivoted", "random", "rows"),
  balance: positive,
  subtract: oneOf(true, false),
  keep: oneOf("orthonormal"),
  norm: oneOf("olora"),
  magnitude: oneOf(true),
  iterations: count,
  type: oneOf(1, 6),
  gamma: positive,
  rho: { expected: "a number >= 1", allows: (value) => Number.isFinite(value) && (value as number) >= 1 },
  stable: oneOf("peft", "paper"),
  targetRank: atLeastOne,
  initWarmup: count,
  finalWarmup: count,
  maskInterval: atLeastOne,
  orthogonality: notNegative,
  innerRank: atLeastOne,
  maxRank: atLeastOne,
  moves: atLeastOne,
  mergeInterval: atLeastOne,
  restartWarmup: count,
  ratio: positive,
};

const PATTERNS = {
  rankPattern: {
    expected: "whole numbers >= 1",
    allows: (rank: number): boolean => Number.isSafeInteger(rank) && rank >= 1,
  },
  alphaPattern: { expected: "numbers", allows: (alpha: number): boolean => Number.isFinite(alpha) },
};

/** Names of the options that only some methods take. */
export const methodOptionNames: readonly (keyof MethodOptions)[] = Object.keys(
  RULES,
) as (keyof MethodOptions)[];

/**
 * `options` with the defaults filled in.
 *
 * @throws {RangeError} If a value, or a combination, makes no sense.
 */
export function resolveOptions(options: Partial<AdapterConfig>): AdapterConfig {
  const {
    method: name = "olora",
    rank = 8,
    alpha = rank,
    targets = ["q_proj", "v_proj"],
    dropout = 0,
    seed = 0,
  } = options;
  if (name === "loftq") {
    throw new RangeError(
      'Cannot attach method "loftq" to a base as it is: expected attachQuantized(model, { method: "loftq", dtype }), or ' +
        "--quantize with --method loftq, as it makes good what quantising loses",
    );
  }
  const method = findMethod(name);
  const refuse = (what: string, expected: string): never => {
    throw new RangeError(`Cannot attach adapter with ${what}: expected ${expected}`);
  };
  if (!Number.isSafeInteger(rank) || rank < 1) refuse(`rank ${rank}`, "a whole number >= 1");
  if (!Number.isFinite(alpha)) refuse(`alpha ${alpha}`, "a number");
  if (!(dropout >= 0 && dropout < 1)) refuse(`dropout ${dropout}`, "0 <= dropout < 1");
  if (!Number.isSafeInteger(seed) || seed < 0) refuse(`seed ${seed}`, "a whole number >= 0");
  if (name === "full" && dropout) refuse(`dropout ${dropout}`, "0, as full fine-tuning has no branches");
  if (name === "full" && alpha !== rank) {
    refuse(`alpha ${alpha}`, "none, as full fine-tuning has no branches");
  }
  const chosen: Record<string, unknown> = {};
  for (const option of methodOptionNames) {
    const value = options[option];
    if (value === undefined) continue;
    const what = `${option} ${JSON.stringify(value)}`;
    if (!RULES[option].allows(value)) refuse(what, RULES[option].expected);
    if (!method.takes.includes(option)) {
      const takers = METHODS.filter(({ takes }) => takes.includes(option)).map(({ name }) => name).join(", ");
      refuse(what, `none for method ${name}; it is an option of ${takers}`);
    }
    chosen[option] = value;
  }
  for (const [option, { expected, allows }] of Object.entries(PATTERNS)) {
    const pattern = options[option as keyof typeof PATTERNS];
    if (pattern === undefined) continue;
    const what = `${option} ${JSON.stringify(pattern)}`;
    if (method.name === "full") refuse(what, "none, as full fine-tuning has no branches");
    if (!Object.values(pattern).every(allows)) refuse(what, expected);
    Object.keys(pattern).forEach((key) => checkExpression(option, key));
    chosen[option] = pattern;
  }
  const config = { method: name, rank: name === "full" ? 0 : rank, alpha, targets, dropout, seed, ...chosen };
  checkTogether(config, refuse);
  return config;
}

function checkExpression(option: string, source: string): void {
  try {
    new RegExp(source);
  } catch (cause) {
    throw new RangeError(
      `Cannot attach adapter with ${option}: found ${JSON.stringify(source)}, expected a regular expression`,
      { cause },
    );
  }
}

function checkTogether(config: AdapterConfig, refuse: (what: string, expected: string) => never): void {
  const { freeze, keep, basis, balance = 1, subtract } = config;
  const method = findMethod(config.method);
  if (method.layer) return checkLayer(config, method.layer, refuse);
  if (freeze === "B" && method.startsAtZero) {
    refuse('freeze "B"', `"A" or none, as ${method.name} starts with B = 0 and could learn nothing`);
  }
  if (!keep) return;
  if (basis === "rows") {
    refuse('keep "orthonormal" and basis "rows"', "a basis of columns, as B is what is kept");
  }
  if (balance !== 1) {
    refuse(`keep "orthonormal" and balance ${balance}`, "balance 1, as B then is orthonormal");
  }
  if (freeze === "B") {
    refuse('keep "orthonormal" and freeze "B"', "one of them, as a frozen B stays what it is");
  }
  if (subtract === false) refuse('keep "orthonormal" without subtraction', "subtract true");
}

function checkLayer(
  config: AdapterConfig,
  { takesDropout, takesAlpha }: LayerForm,
  refuse: (what: string, expected: string) => never,
): void {
  const { method, rank, alpha, dropout, freeze, feedforward, targets, targetRank, maxRank } = config;
  const { rankPattern = {}, alphaPattern = {} } = config;
  const noScale = `none for method ${method}, which has no scale`;
  if (alpha !== rank && !takesAlpha) refuse(`alpha ${alpha}`, noScale);
  if (Object.keys(alphaPattern).length && !takesAlpha) {
    refuse(`alphaPattern ${JSON.stringify(alphaPattern)}`, noScale);
  }
  if (dropout && !takesDropout) {
    refuse(`dropout ${dropout}`, `0, as ${method} has no part that is added`);
  }
  const ranks = [rank, ...Object.values(rankPattern)];
  const [least, most] = [Math.min(...ranks), Math.max(...ranks)];
  if (maxRank !== undefined && maxRank < most) {
    refuse(`maxRank ${maxRank}`, `at least the rank, ${most}, that a layer starts with`);
  }
  if (targetRank !== undefined && targetRank > least) {
    refuse(`targetRank ${targetRank}`, `at most the rank, ${least}, from which it is cut`);
  }
  if (freeze && most > 1) refuse(`freeze "${freeze}" and rank ${most}`, "rank 1, where it is IA³");
  if (feedforward === undefined) return;
  const what = `feedforward ${JSON.stringify(feedforward)}`;
  if (freeze !== "B") refuse(`${what} ${freeze ? 'and freeze "A"' : "without freeze"}`, 'freeze "B"');
  if (typeof feedforward === "string" || typeof targets === "string") return;
  if (!feedforward.every((name) => targets.some((t) => isTarget([t], name) || isTarget([name], t)))) {
    refuse(what, `some of the targets, ${targets.join(", ")}`);
  }
}
