import type { HostTensor } from "../core/host_tensor.ts";
import type { JsonObject } from "./json_file.ts";

/** The settings of a LoRA adapter that its file format holds and that mean something here. */
export interface PeftConfig {
  /** Rank r of every module that `rankPattern` does not name. */
  readonly rank: number;
  /** α of every module that `alphaPattern` does not name; the scale is s = α / r. */
  readonly alpha: number;
  /** Probability that an input of the adapter branch is dropped in training. */
  readonly dropout: number;
  /** Names that end a module's path, or one regular expression for whole paths, or "all-linear". */
  readonly targetModules: readonly string[] | string;
  /** Other ranks, by a regular expression for the end of a module's path. */
  readonly rankPattern: Readonly<Record<string, number>>;
  /** Other values of α, likewise. */
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Whether the scale is α / √r (Kalajdzievski 2023, arXiv:2312.03732) instead. */
  readonly rsLora: boolean;
  /** PEFT's `init_lora_weights`: how the factors started, e.g. "olora"; true is LoRA's own start. */
  readonly init: string | boolean;
  /** The base model's name or path, if known. */
  readonly baseModel: string | undefined;
}

/** Both factors of one module. */
export interface PeftFactors {
  /** A, `[r, in]`. */
  readonly a: HostTensor;
  /** B, `[out, r]`. */
  readonly b: HostTensor;
}

/** An adapter as PEFT stores it: settings, and factors by module path, e.g. `model.layers.0.self_attn.q_proj`. */
export interface PeftAdapter {
  /** The settings. */
  readonly config: PeftConfig;
  /** The factors by module path. */
  readonly factors: ReadonlyMap<string, PeftFactors>;
}

/** The rank that `config` gives the module at `path`: the first pattern that matches counts, as in PEFT. */
export function moduleRank(config: PeftConfig, path: string): number {
  return matching(config.rankPattern, path) ?? config.rank;
}

/** The scale s that `config` gives the module at `path`: α / r, or α / √r with `rsLora`. */
export function moduleScale(config: PeftConfig, path: string): number {
  const rank = moduleRank(config, path);
  const alpha = matching(config.alphaPattern, path) ?? config.alpha;
  return alpha / (config.rsLora ? Math.sqrt(rank) : rank);
}

/**
 * Whether `targetModules` selects the module at `path`, as PEFT decides it: a list holds whole paths or their
 * last parts, a string is a regular expression for the whole path; "all-linear" selects every module.
 */
export function isTarget(targetModules: readonly string[] | string, path: string): boolean {
  if (targetModules === "all-linear") return true;
  if (typeof targetModules === "string") return new RegExp(`^(?:${targetModules})$`).test(path);
  return targetModules.some((name) => path === name || path.endsWith(`.${name}`));
}

/**
 * The settings in an adapter_config.json. Fields that are not known are ignored, because PEFT adds some with
 * each release; those that would change what the adapter computes are refused.
 *
 * @param json Content of the file.
 * @param name The file's name, for errors.
 * @throws {RangeError} If the adapter is of a kind that is not supported, or a value makes no sense.
 */
export function parsePeftConfig(json: JsonObject, name: string): PeftConfig {
  const fail = (field: string, expected: string): never => {
    throw new RangeError(
      `Cannot use ${name}: found ${field} ${JSON.stringify(json[field]) ?? "missing"}, expected ${expected}`,
    );
  };
  if (json.peft_type !== "LORA") fail("peft_type", '"LORA"');
  if ((json.bias ?? "none") !== "none") fail("bias", '"none"');
  for (const field of UNSUPPORTED) if (!isOff(json[field])) fail(field, "it unset (not supported)");
  const number = (field: string, allowed: (x: number) => boolean, expected: string, fallback?: number) => {
    const value = json[field] ?? fallback;
    return typeof value === "number" && allowed(value) ? value : fail(field, expected);
  };
  const pattern = (field: string, allowed: (x: number) => boolean, expected: string) => {
    const found = json[field] ?? {};
    const sound = typeof found === "object" && !Array.isArray(found) &&
      Object.entries(found).every(([key, x]) => isRegExp(key) && typeof x === "number" && allowed(x));
    return sound
      ? found as Record<string, number>
      : fail(field, `regular expressions, each with ${expected}`);
  };
  const isRank = (x: number) => Number.isSafeInteger(x) && x > 0;
  const targets = json.target_modules ?? [];
  const isList = Array.isArray(targets) && targets.every((target) => typeof target === "string");
  if (!isList && !(typeof targets === "string" && isRegExp(targets))) {
    fail("target_modules", "a list of names or a regular expression");
  }
  const init = json.init_lora_weights ?? true;
  if (typeof init !== "string" && typeof init !== "boolean") {
    fail("init_lora_weights", "a name, true or false");
  }
  return {
    rank: number("r", isRank, "a whole number > 0"),
    alpha: number("lora_alpha", Number.isFinite, "a number", 8),
    dropout: number("lora_dropout", (x) => x >= 0 && x < 1, "a number >= 0 and < 1", 0),
    targetModules: targets as string[] | string,
    rankPattern: pattern("rank_pattern", isRank, "a whole number > 0"),
    alphaPattern: pattern("alpha_pattern", Number.isFinite, "a number"),
    rsLora: json.use_rslora === true,
    init: init as string | boolean,
    baseModel: typeof json.base_model_name_or_path === "string" ? json.base_model_name_or_path : undefined,
  };
}

/** The content of the adapter_config.json that PEFT reads as `config`: its core set of fields. */
export function peftConfigJson(config: PeftConfig): JsonObject {
  return {
    alpha_pattern: config.alphaPattern,
    base_model_name_or_path: config.baseModel ?? null,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: config.init,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: null,
    peft_type: "LORA",
    r: config.rank,
    rank_pattern: config.rankPattern,
    target_modules: config.targetModules,
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: config.rsLora,
  };
}

/**
 * The tensors of an adapter_model.safetensors by the names that PEFT gives them.
 *
 * @throws {RangeError} If a factor's shape does not fit its configured rank, or a path is no target.
 */
export function peftTensors(adapter: PeftAdapter): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [path, { a, b }] of adapter.factors) {
    if (!isTarget(adapter.config.targetModules, path)) {
      throw new RangeError(
        `Cannot write the adapter: module ${path} is none of its target modules ${
          JSON.stringify(adapter.config.targetModules)
        }`,
      );
    }
    checkShapes(adapter.config, path, { a, b }, "the adapter");
    tensors.set(`base_model.model.${path}.lora_A.weight`, a);
    tensors.set(`base_model.model.${path}.lora_B.weight`, b);
  }
  return tensors;
}

/**
 * The module path and factor that a tensor's name in an adapter_model.safetensors stands for.
 *
 * @throws {RangeError} If the tensor is no factor of a linear layer.
 */
export function parseFactorName(tensor: string, name: string): { path: string; factor: "a" | "b" } {
  const match = /^base_model\.model\.(.+)\.lora_(A|B)\.weight$/.exec(tensor);
  if (match) return { path: match[1], factor: match[2] === "A" ? "a" : "b" };
  throw new RangeError(
    `Cannot use ${name}: found tensor ${tensor}, expected base_model.model.<module>.lora_A.weight or lora_B.weight`,
  );
}

/**
 * The factors in their pairs, checked against the configuration.
 *
 * @param tensors The file's tensors by name.
 * @param name The file's name, for errors.
 * @throws {RangeError} If a tensor is unknown, half of a pair, or of a shape that does not fit its rank.
 */
export function pairFactors(
  config: PeftConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
): Map<string, PeftFactors> {
  const pairs = new Map<string, Partial<Record<"a" | "b", HostTensor>>>();
  for (const [tensor, value] of tensors) {
    const { path, factor } = parseFactorName(tensor, name);
    pairs.set(path, { ...pairs.get(path), [factor]: value });
  }
  const factors = new Map<string, PeftFactors>();
  for (const [path, { a, b }] of [...pairs].sort(([p], [q]) => p < q ? -1 : 1)) {
    if (!a || !b) {
      throw new RangeError(
        `Cannot use ${name}: module ${path} has only lora_${a ? "A" : "B"}, expected both`,
      );
    }
    checkShapes(config, path, { a, b }, name);
    factors.set(path, { a, b });
  }
  if (factors.size === 0) throw new RangeError(`Cannot use ${name}: found no factors`);
  return factors;
}

/** Fields of PEFT's configuration that change what the adapter computes in ways that are not supported. */
const UNSUPPORTED = [
  "use_dora",
  "lora_bias",
  "modules_to_save",
  "target_parameters",
  "trainable_token_indices",
  "layer_replication",
  "use_qalora",
  "use_bdlora",
  "alora_invocation_tokens",
  "arrow_config",
  "kasa_config",
  "monteclora_config",
];

function isOff(value: unknown): boolean {
  return value === undefined || value === null || value === false ||
    (Array.isArray(value) && value.length === 0);
}

function isRegExp(source: string): boolean {
  try {
    return new RegExp(source) !== undefined;
  } catch {
    return false;
  }
}

function matching(pattern: Readonly<Record<string, number>>, path: string): number | undefined {
  return Object.entries(pattern).find(([key]) => new RegExp(`^(?:.*\\.)?(?:${key})$`).test(path))?.[1];
}

function checkShapes(config: PeftConfig, path: string, { a, b }: PeftFactors, name: string): void {
  const rank = moduleRank(config, path);
  for (const [factor, { shape }, axis] of [["A", a, 0], ["B", b, 1]] as const) {
    if (shape.length === 2 && shape[axis] === rank) continue;
    throw new RangeError(
      `Cannot use ${name}: module ${path} has lora_${factor} [${shape.join(", ")}], expected ${
        factor === "A" ? `[${rank}, in]` : `[out, ${rank}]`
      } for its rank`,
    );
  }
}
