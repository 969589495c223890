import { isGguf } from "./gguf.ts";
import { readGgufConfig } from "./gguf_model.ts";
import { FAMILIES, type FamilyName } from "./families.ts";
import { type JsonObject, readJson } from "./json_file.ts";
import { type ConfigFail, type RopeScaling, ropeScaling, ropeScalingJson } from "./rope_scaling.ts";

/** What some files call the activation of a family: Gemma's first ones say "gelu" and mean its tanh form. */
const OTHER_NAMES: Partial<Record<FamilyName, readonly string[]>> = {
  gemma: ["gelu"],
  gpt2: ["gelu_pytorch_tanh"],
};

/** What makes a decoder: the fields of config.json that decide its shapes and its arithmetic. */
export interface DecoderConfig {
  /** Which row of the table of families. */
  readonly family: FamilyName;
  /** Tokens of the vocabulary, v. */
  readonly vocabularySize: number;
  /** Width of the residual stream, d. */
  readonly width: number;
  /** Number of layers. */
  readonly layers: number;
  /** Query heads, h. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. */
  readonly keyValueHeads: number;
  /** Width of one head; even, because rotary embedding turns pairs. */
  readonly headWidth: number;
  /** Inner width of the MLP. */
  readonly mlpWidth: number;
  /** Base θ of the rotary angles, position · θ^(-2i / headWidth); absent where positions are learned. */
  readonly ropeBase?: number;
  /** How the rotary frequencies are stretched, if they are. */
  readonly ropeScaling?: RopeScaling;
  /** ε of the norms. */
  readonly normEps: number;
  /** Longest sequence the model is made for, tokens. */
  readonly context: number;
  /** Tokens that a token attends to, itself the last, where that is fewer than `context`. */
  readonly window?: number;
  /** Whether the output head is the token embedding. */
  readonly tiedEmbeddings: boolean;
  /** Id that begins a text, if there is one. */
  readonly bos: number | undefined;
  /** Ids that end a text. */
  readonly eos: readonly number[];
}

/**
 * Reads `config.json` of a Hugging Face model folder, or what the metadata of a GGUF file say in its place.
 *
 * @throws {Deno.errors.NotFound} If there is none.
 * @throws {SyntaxError} If it is not JSON.
 * @throws {RangeError} As {@linkcode parseModelConfig}.
 */
export async function readModelConfig(folder: string): Promise<DecoderConfig> {
  if (isGguf(folder)) return parseModelConfig(await readGgufConfig(folder), folder);
  return parseModelConfig(await readJson(`${folder}/config.json`), `${folder}/config.json`);
}

/**
 * A decoder's configuration from the content of a config.json, in the form of transformers 4 (`rope_theta` and
 * `rope_scaling` at the top) or 5 (`rope_parameters`). Missing fields have transformers' defaults for the family.
 *
 * @param json Content of the file.
 * @param name The file's name, for errors.
 * @throws {RangeError} If the model is one that cannot be computed here, or a size makes no sense: the message
 * names the field, what was found and what is expected.
 */
export function parseModelConfig(json: JsonObject, name: string): DecoderConfig {
  const fail = (field: string, expected: string, found: unknown = json[field]): never => {
    throw new RangeError(`Cannot use ${name}: found ${field} ${JSON.stringify(found)}, expected ${expected}`);
  };
  const only = (field: string, allowed: readonly unknown[]) => {
    if (!allowed.includes(json[field])) {
      fail(
        field,
        allowed.filter((x) => x !== undefined).map(show).join(" or "),
      );
    }
  };
  only("model_type", Object.keys(FAMILIES));
  const familyName = json.model_type as FamilyName;
  const family = FAMILIES[familyName];
  const architecture = [json.architectures ?? family.architecture].flat();
  if (architecture[0] !== family.architecture) fail("architectures", JSON.stringify([family.architecture]));
  const { fields, fixed, defaults } = family;
  only(fields.activation, [undefined, family.activation, ...OTHER_NAMES[familyName] ?? []]);
  only("hidden_activation", [undefined, null, family.activation]);
  only("use_sliding_window", [undefined, null, false]);
  if (familyName === "opt") refuseOpt350m(json, fail);
  for (const [field, value] of Object.entries(fixed)) only(field, [undefined, null, value]);
  only("quantization_config", [undefined, null]);

  const count = (field: string, fallback?: number) => {
    const value = json[field] ?? fallback;
    return Number.isSafeInteger(value) && (value as number) > 0
      ? value as number
      : fail(field, "a whole number > 0", value ?? null);
  };
  const heads = count(fields.heads);
  const keyValueHeads = count(
    "num_key_value_heads",
    json.num_key_value_heads === null ? heads : defaults.keyValueHeads || heads,
  );
  if (heads % keyValueHeads) fail("num_key_value_heads", `a divisor of ${fields.heads} ${heads}`);
  const width = count(fields.width);

  const headWidth = count(
    "head_dim",
    json.head_dim === null ? width / heads : defaults.headWidth || width / heads,
  );
  if (headWidth % 2) fail("head_dim", "an even number", headWidth);
  const vocabularySize = count("vocab_size");
  const normEps = (fields.normEps && json[fields.normEps]) ?? defaults.normEps;
  if (typeof normEps !== "number" || !(normEps >= 0)) return fail(fields.normEps!, "a number >= 0");
  const tied = json.tie_word_embeddings ?? defaults.tied;
  if (typeof tied !== "boolean") return fail("tie_word_embeddings", "true or false");

  const context = count(fields.context, defaults.context);
  const window = json.sliding_window === undefined ? defaults.window : json.sliding_window;
  const isWindowed = familyName === "mistral" && window !== null;
  if (isWindowed && !(Number.isSafeInteger(window) && (window as number) > 0)) {
    fail("sliding_window", "null or a whole number > 0", window);
  }

  return {
    family: familyName,
    vocabularySize,
    width,
    layers: count(fields.layers),
    heads,
    keyValueHeads,
    headWidth,
    mlpWidth: count(fields.mlpWidth, familyName === "gpt2" ? 4 * width : undefined),
    ...(!family.names.positions && rotaryConfig(json, context, fail)),
    normEps,
    context,
    ...(isWindowed && (window as number) < context && { window: window as number }),
    tiedEmbeddings: tied,
    bos: tokenIds("bos_token_id", json, vocabularySize, fail).at(0),
    eos: tokenIds("eos_token_id", json, vocabularySize, fail),
  };
}

/**
 * The content of a config.json that transformers 4 and 5 and {@linkcode parseModelConfig} read as `config`.
 *
 * @param dtype Element type of the weights stored beside it.
 */
export function modelConfigJson(config: DecoderConfig, dtype: "f32" | "f16" | "bf16"): JsonObject {
  const { architecture, activation, fields, fixed } = FAMILIES[config.family];
  const json: JsonObject = {
    architectures: [architecture],
    model_type: config.family,
    torch_dtype: { f32: "float32", f16: "float16", bf16: "bfloat16" }[dtype],
    ...fixed,
    bos_token_id: config.bos ?? null,
    eos_token_id: config.eos.length > 1 ? config.eos : config.eos[0] ?? null,
    tie_word_embeddings: config.tiedEmbeddings,
    vocab_size: config.vocabularySize,
    [fields.activation]: activation,
    [fields.context]: config.context,
    [fields.heads]: config.heads,
    [fields.layers]: config.layers,
    [fields.mlpWidth]: config.mlpWidth,
    ...(fields.normEps && { [fields.normEps]: config.normEps }),
    [fields.width]: config.width,
    ...(config.family === "mistral" && { sliding_window: config.window ?? null }),
    ...(config.family === "opt" && { word_embed_proj_dim: config.width }),
    ...(config.ropeBase !== undefined && {
      attention_dropout: 0,
      head_dim: config.headWidth,
      num_key_value_heads: config.keyValueHeads,
      rope_scaling: config.ropeScaling ? ropeScalingJson(config.ropeScaling) : null,
      rope_theta: config.ropeBase,
    }),
  };
  return Object.fromEntries(Object.keys(json).sort().map((field) => [field, json[field]]));
}

function refuseOpt350m(json: JsonObject, fail: ConfigFail): void {
  const { do_layer_norm_before: before, hidden_size: width, word_embed_proj_dim: projected } = json;
  if (before === false) {
    fail("do_layer_norm_before", "true: norms after the sums, as OPT-350m has them, are not supported");
  }
  if ((projected ?? width) !== width) {
    fail(
      "word_embed_proj_dim",
      `hidden_size ${width}: projected embeddings, as in OPT-350m, are not supported`,
    );
  }
}

/** Fields of positions that turn q and k. */
function rotaryConfig(
  json: JsonObject,
  context: number,
  fail: ConfigFail,
): Pick<DecoderConfig, "ropeBase" | "ropeScaling"> {
  const scaling = ropeScaling(json, context, fail);
  return { ropeBase: ropeBase(json, fail), ...(scaling && { ropeScaling: scaling }) };
}

function ropeBase(json: JsonObject, fail: ConfigFail): number {
  const partial = (json.rope_parameters as JsonObject | undefined)?.partial_rotary_factor ??
    json.partial_rotary_factor ?? 1;
  if (partial !== 1) fail("partial_rotary_factor", "1", partial);
  const base = (json.rope_parameters as JsonObject | undefined)?.rope_theta ?? json.rope_theta ?? 10000;
  return typeof base === "number" && base > 0 ? base : fail("rope_theta", "a number > 0", base);
}

function tokenIds(field: string, json: JsonObject, vocabularySize: number, fail: ConfigFail): number[] {
  const ids: unknown[] = [json[field] ?? []].flat();
  // Some published files hold -1 where they mean none.
  const used = ids.filter((id) => id !== -1);
  if (
    !used.every((id) => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize)
  ) {
    fail(field, `token ids below vocab_size ${vocabularySize}`);
  }
  return used as number[];
}

function show(x: unknown): string {
  return JSON.stringify(x);
}
