import type { HostTensor } from "../core/host_tensor.ts";
import { isHubName, parseHubName } from "./hub_name.ts";
import type { JsonObject } from "./json_file.ts";
import type { PeftTargets } from "./peft_targets.ts";

/** The settings of a LoRA adapter that its file format holds and that mean something here. */
export interface PeftConfig extends PeftTargets {
  /** Rank r of every module that `rankPattern` does not name. */
  readonly rank: number;
  /** α of every module that `alphaPattern` does not name; the scale is s = α / r. */
  readonly alpha: number;
  /** Probability that an input of the adapter branch is dropped in training. */
  readonly dropout: number;
  /** Other ranks, by a regular expression for the end of a module's path. */
  readonly rankPattern: Readonly<Record<string, number>>;
  /** Other values of α, likewise. */
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Whether the scale is α / √r (Kalajdzievski 2023, arXiv:2312.03732) instead. */
  readonly rsLora: boolean;
  /** Whether the rows of the merged weight have lengths of their own (Liu et al. 2024, arXiv:2402.09353). */
  readonly dora: boolean;
  /** Whether B has a bias; absent for no. */
  readonly loraBias?: true;
  /** Which biases of the base are trained; absent for none. */
  readonly bias?: "all" | "lora_only";
  /** Names that end the paths of modules that are trained whole; absent for none. */
  readonly modulesToSave?: readonly string[];
  /** PEFT's `trainable_token_indices`: rows of the embedding, or by names that end paths of modules; absent for none. */
  readonly tokens?: readonly number[] | Readonly<Record<string, readonly number[]>>;
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
  /** m, `[out]`, of an adapter with `dora`. */
  readonly magnitude?: HostTensor;
  /** The bias of B, `[out]`, of an adapter with `loraBias`: B (A x) + c. */
  readonly bias?: HostTensor;
}

/** Some rows of an embedding or head, which PEFT trains in place of the base's. */
export interface PeftRows {
  /** Which rows: ids of tokens. */
  readonly ids: readonly number[];
  /** What they are, `[ids, d]`. */
  readonly rows: HostTensor;
}

/** An adapter as PEFT stores it: settings, and factors by module path, e.g. `model.layers.0.self_attn.q_proj`. */
export interface PeftAdapter {
  /** The settings. */
  readonly config: PeftConfig;
  /** The factors by module path. */
  readonly factors: ReadonlyMap<string, PeftFactors>;
  /**
   * Weights that take the place of the base's, by their Hugging Face names, matrices as `[out, in]`: of `modulesToSave`, of
   * `bias`, of resized embeddings, and rows of `tokens`; absent where there are none.
   */
  readonly weights?: ReadonlyMap<string, HostTensor | PeftRows>;
  /** Fields of the file's configuration that nobody here knows, and that were ignored; absent where there are none. */
  readonly unknownFields?: readonly string[];
}

/** The rank that `config` gives the module at `path`: the first pattern that matches counts, as in PEFT. */
export function moduleRank(config: Pick<PeftConfig, "rank" | "rankPattern">, path: string): number {
  return matching(config.rankPattern, path) ?? config.rank;
}

/** α of the module at `path`, likewise. */
export function moduleAlpha(config: Pick<PeftConfig, "alpha" | "alphaPattern">, path: string): number {
  return matching(config.alphaPattern, path) ?? config.alpha;
}

/** The scale s that `config` gives the module at `path`: α / r, or α / √r with `rsLora`. */
export function moduleScale(config: PeftConfig, path: string): number {
  const rank = moduleRank(config, path);
  return moduleAlpha(config, path) / (config.rsLora ? Math.sqrt(rank) : rank);
}

/**
 * The method whose start PEFT takes out of the base for `init_lora_weights`; undefined where the base stays what it is.
 *
 * @throws {RangeError} If PEFT changes the base in a way that is not known here, as for "loftq".
 */
export function startOf(init: PeftConfig["init"]): "olora" | "pissa" | "lora-ga" | undefined {
  if (typeof init === "boolean") return undefined;
  if (init.toLowerCase() === "olora") return "olora";
  if (init === "lora_ga") return "lora-ga";
  if (/^pissa(_niter_\d+)?$/.test(init)) return "pissa";
  if (BASE_KEPT.includes(init.toLowerCase())) return undefined;
  throw new RangeError(
    `Cannot use init_lora_weights ${
      JSON.stringify(init)
    }: expected true, false, "olora", "pissa", "pissa_niter_[k]", "lora_ga" or one of ${
      BASE_KEPT.map((name) => JSON.stringify(name)).join(", ")
    }`,
  );
}

/**
 * Refuses an adapter with magnitudes where plain LoRA is wanted: scaling rows changes a weight by all its rank.
 *
 * @throws {RangeError} If it has them.
 */
export function refuseMagnitudes({ dora }: PeftConfig): void {
  if (!dora) return;
  throw new RangeError(
    "Cannot make plain LoRA of an adapter with magnitudes (use_dora): expected it to be merged, as rows are scaled",
  );
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
  const bias = (json.bias ?? "none") as "none" | "all" | "lora_only";
  if (!["none", "all", "lora_only"].includes(bias)) fail("bias", '"none", "all" or "lora_only"');
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
  const names = (field: string) => {
    const found = json[field] ?? [];
    const isList = Array.isArray(found) && found.every((target) => typeof target === "string");
    if (isList || (typeof found === "string" && isRegExp(found))) return found as string[] | string;
    return fail(field, "a list of names or a regular expression");
  };
  const list = <T>(field: string, allowed: (x: unknown) => boolean, expected: string) => {
    const found = json[field] ?? [];
    const items = Array.isArray(found) ? found : [found];
    return items.every(allowed) ? items as T[] : fail(field, expected);
  };
  const init = json.init_lora_weights ?? true;
  if (typeof init !== "string" && typeof init !== "boolean") {
    fail("init_lora_weights", "a name, true or false");
  }
  try {
    startOf(init as string | boolean);
  } catch (error) {
    fail("init_lora_weights", (error as Error).message.split("expected ").at(-1)!);
  }
  if (json.lora_bias && startOf(init as string | boolean)) {
    fail("init_lora_weights", "a start that leaves the base alone, with lora_bias");
  }
  if (json.use_dora && json.lora_bias) fail("lora_bias", "it unset, with use_dora");
  const tokens = (json.trainable_token_indices ?? []) as
    | readonly number[]
    | Record<string, readonly number[]>;
  const isIds = (x: unknown) => Array.isArray(x) && x.every((id) => Number.isSafeInteger(id) && id >= 0);
  if (!isIds(tokens) && !(typeof tokens === "object" && Object.values(tokens).every(isIds))) {
    fail("trainable_token_indices", "ids of tokens, or such by names of modules");
  }
  const exclude = names("exclude_modules");
  const layers = list<number>(
    "layers_to_transform",
    (x) => Number.isSafeInteger(x) && x as number >= 0,
    "numbers of layers",
  );
  const modulesToSave = list<string>("modules_to_save", (x) => typeof x === "string", "names of modules");
  const layersPattern = list<string>(
    "layers_pattern",
    (x) => typeof x === "string" && isRegExp(x),
    "names or regular expressions",
  );
  return {
    rank: number("r", isRank, "a whole number > 0"),
    alpha: number("lora_alpha", Number.isFinite, "a number", 8),
    dropout: number("lora_dropout", (x) => x >= 0 && x < 1, "a number >= 0 and < 1", 0),
    targetModules: names("target_modules"),
    ...(exclude.length && { excludeModules: exclude }),
    ...(layers.length && { layers }),
    ...(layersPattern.length && { layersPattern }),
    rankPattern: pattern("rank_pattern", isRank, "a whole number > 0"),
    alphaPattern: pattern("alpha_pattern", Number.isFinite, "a number"),
    rsLora: json.use_rslora === true,
    dora: json.use_dora === true,
    ...(json.lora_bias === true && { loraBias: true }),
    ...(bias !== "none" && { bias }),
    ...(modulesToSave.length && { modulesToSave }),
    ...(Object.keys(tokens).length && { tokens }),
    init: init as string | boolean,
    baseModel: typeof json.base_model_name_or_path === "string" ? json.base_model_name_or_path : undefined,
  };
}

/** Fields of an adapter_config.json that are not known here; what they say is not in the result. */
export function unknownPeftFields(json: JsonObject): string[] {
  const known = [...KNOWN, ...UNSUPPORTED, ...(json.peft_type === "ADALORA" ? OF_ADALORA : [])];
  return Object.keys(json).filter((field) => !known.includes(field));
}

/**
 * The content of the adapter_config.json that PEFT reads as `config`: its core set of fields. A base on the hub gets the
 * name and revision that Python knows it by.
 */
export function peftConfigJson(config: PeftConfig): JsonObject {
  const hub = config.baseModel !== undefined && isHubName(config.baseModel)
    ? parseHubName(config.baseModel)
    : undefined;
  return {
    alpha_pattern: config.alphaPattern,
    base_model_name_or_path: hub?.repo ?? config.baseModel ?? null,
    bias: config.bias ?? "none",
    ...(config.excludeModules && { exclude_modules: config.excludeModules }),
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: config.init,
    ...(config.layersPattern && { layers_pattern: config.layersPattern }),
    ...(config.layers && { layers_to_transform: config.layers }),
    lora_alpha: config.alpha,
    ...(config.loraBias && { lora_bias: true }),
    lora_dropout: config.dropout,
    modules_to_save: config.modulesToSave ?? null,
    peft_type: "LORA",
    r: config.rank,
    rank_pattern: config.rankPattern,
    ...(hub && { revision: hub.revision }),
    target_modules: config.targetModules,
    task_type: "CAUSAL_LM",
    ...(config.tokens && { trainable_token_indices: config.tokens }),
    use_dora: config.dora,
    use_rslora: config.rsLora,
  };
}

/** Starts beside LoRA's own that leave the base as it is, by PEFT's names: any adapter of theirs is a plain one. */
const BASE_KEPT = ["gaussian", "eva", "orthogonal", "mica"];

/** Fields that are read, or change nothing of what an adapter computes; `fan_in_fan_out` says how the base is stored. */
const KNOWN = (
  "alpha_pattern auto_mapping base_model_name_or_path bias corda_config ensure_weight_tying eva_config exclude_modules " +
  "fan_in_fan_out inference_mode init_lora_weights layers_pattern layers_to_transform loftq_config lora_alpha lora_bias " +
  "lora_dropout lora_ga_config megatron_config megatron_core modules_to_save peft_type peft_version qalora_group_size r rank_pattern " +
  "revision runtime_config target_modules task_type trainable_token_indices use_dora use_rslora velora_config"
).split(" ");

/** Fields beside them of AdaLoRA's configuration, of which `beta1` and `beta2` are of its training alone. */
const OF_ADALORA = "beta1 beta2 deltaT init_r orth_reg_weight target_r tfinal tinit total_step".split(" ");

/** Fields of PEFT's configuration that change what the adapter computes in ways that are not supported. */
const UNSUPPORTED = [
  "target_parameters",
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

/** Whether `source` is a regular expression. */
export function isRegExp(source: string): boolean {
  try {
    return new RegExp(source) !== undefined;
  } catch {
    return false;
  }
}

function matching(pattern: Readonly<Record<string, number>>, path: string): number | undefined {
  return Object.entries(pattern).find(([key]) => new RegExp(`^(?:.*\\.)?(?:${key})$`).test(path))?.[1];
}
