import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { FAMILIES, type Family, type FamilyName } from "./families.ts";
import { type GgufFile, openGguf } from "./gguf.ts";
import type { GgufHeader, GgufValue } from "./gguf_format.ts";
import { llama3Scaling } from "./gguf_rope.ts";
import type { JsonObject } from "./json_file.ts";
import type { DecoderConfig } from "./model_config.ts";
import type { ModelTensors } from "./model_tensors.ts";
import type { TensorInfo } from "./safetensors_format.ts";

/**
 * Architectures that are read, by GGUF's names: each is the family of that name, but that llama and mistral are one layout,
 * with a window mistral and without one llama. llama.cpp's converter calls both llama.
 */
const ARCHITECTURES: readonly unknown[] = [
  "llama",
  "mistral",
  "qwen2",
  "qwen3",
  "gemma",
  "gpt2",
] satisfies FamilyName[];

/** Families whose rows of q and k the converter puts in another order. */
const IN_TURNS: readonly FamilyName[] = ["llama", "mistral"];

/** What stretched rotary angles are stored as. */
const ROPE = "rope_freqs.weight";

/**
 * GGUF's name of the architecture of a family.
 *
 * @throws {RangeError} If it has none.
 */
export function ggufArchitecture({ family }: Pick<DecoderConfig, "family">): string {
  const found = family === "mistral" ? "llama" : family;
  if (ARCHITECTURES.includes(found)) return found;
  throw new RangeError(
    `Cannot write ${family} in GGUF: found no architecture for it, expected one of ${
      ARCHITECTURES.join(", ")
    }`,
  );
}

/**
 * GGUF's name of the weight of a linear layer, e.g. `blk.0.attn_q.weight`.
 *
 * @param module Its path as PEFT names it.
 * @throws {RangeError} If the family has no such layer.
 */
export function ggufLinearName({ family }: Pick<DecoderConfig, "family">, module: string): string {
  const { layers } = FAMILIES[family].names;
  const [, layer, part] = new RegExp(`^${layers.replaceAll(".", "\\.")}\\.(\\d+)\\.(.+)$`).exec(module) ?? [];
  const own = [...namesOf(FAMILIES[family])[1]].find(([, name]) => name === part)?.[0];
  if (own === undefined) throw new RangeError(`Cannot name ${module} in GGUF: expected a layer of ${family}`);
  return `blk.${layer}.${own}.weight`;
}

/** Heads of a layer whose rows GGUF stores in turns, q and k of the llama family; undefined of all others. */
export function inTurnHeads(config: DecoderConfig, module: string): number | undefined {
  if (!IN_TURNS.includes(config.family)) return undefined;
  const { attention: [query, key] } = FAMILIES[config.family].names;
  if (module.endsWith(`.${query}`)) return config.heads;
  return module.endsWith(`.${key}`) ? config.keyValueHeads : undefined;
}

/** What a family calls the tensors of GGUF's names, outside of its layers and inside, where they follow `blk.N.`. */
function namesOf(
  { names }: Family,
): [outside: ReadonlyMap<string, string>, inside: ReadonlyMap<string, string>] {
  const [query, key, value] = names.attention;
  const [up, gate] = [...names.mlp].reverse();
  const outside: Record<string, string | undefined> = {
    token_embd: names.embedding,
    position_embd: names.positions,
    output_norm: names.norm,
    output: "lm_head",
  };
  const inside: Record<string, string | undefined> = {
    attn_norm: names.attentionNorm,
    [key ? "attn_q" : "attn_qkv"]: query,
    attn_k: key,
    attn_v: value,
    attn_q_norm: "self_attn.q_norm",
    attn_k_norm: "self_attn.k_norm",
    attn_output: names.attentionOut,
    ffn_norm: names.mlpNorm,
    ffn_gate: gate,
    ffn_up: up,
    ffn_down: names.mlpOut,
  };
  const known = (table: Record<string, string | undefined>) =>
    new Map(Object.entries(table).filter((row): row is [string, string] => row[1] !== undefined));
  return [known(outside), known(inside)];
}

/**
 * What a GGUF file's metadata say of its model, in the form of a config.json.
 *
 * @throws {RangeError} If the architecture is not supported.
 * @throws {SyntaxError} If the file is malformed.
 */
export async function readGgufConfig(path: string): Promise<JsonObject> {
  using file = await openGguf(path);
  return await configOf(file);
}

/**
 * Opens the weights of a GGUF file under their Hugging Face names, and undoes what llama.cpp's converter did to them. Of
 * the llama family it stores the two halves of a head that rotary embedding turns with each other row by row in turns,
 * in q and k: a row is made of whole blocks, so blocks are moved and never taken apart. Of gemma it stores norms with
 * their 1 added.
 *
 * @throws {RangeError} If the architecture is not supported.
 * @throws {SyntaxError} If the file is malformed.
 */
export async function openGgufModel(path: string): Promise<ModelTensors> {
  const file = await openGguf(path);
  try {
    const config = await configOf(file);
    const family = FAMILIES[config.model_type as FamilyName];
    const stored = new Map<string, string>();
    for (const name of file.tensors.keys()) {
      if (name === ROPE) continue;
      const known = huggingFaceName(name, family);
      if (stored.has(known)) {
        throw new SyntaxError(`Cannot read ${path}: found both ${name} and ${stored.get(known)}`);
      }
      stored.set(known, name);
    }
    return view(file, stored, config);
  } catch (error) {
    file.close();
    throw error;
  }
}

function view(file: GgufFile, stored: ReadonlyMap<string, string>, config: JsonObject): ModelTensors {
  const family = config.model_type as FamilyName;
  const { normOffset } = FAMILIES[family];
  return {
    paths: [file.path],
    tensors: new Map([...stored].map(([name, own]): [string, TensorInfo] => [name, file.tensors.get(own)!])),
    fileOf: () => file.path,
    async read(name) {
      const own = stored.get(name);
      if (own === undefined) {
        throw new RangeError(`Cannot read tensor ${name}: ${file.path} has no tensor for it`);
      }
      const tensor = await file.read(own);
      if (normOffset && own.endsWith("norm.weight")) {
        return hostTensor(tensor.shape, toFloat32(tensor).map((x) => x - normOffset));
      }
      if (!IN_TURNS.includes(family)) return tensor;
      if (own.endsWith(".attn_q.weight")) return halvesApart(tensor, config.num_attention_heads);
      if (own.endsWith(".attn_k.weight")) return halvesApart(tensor, config.num_key_value_heads);
      return tensor;
    },
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

/** Rows 2 i + j of each head, in places j c / 2 + i. */
export function halvesApart(tensor: HostTensor, heads: unknown): HostTensor {
  const [rows] = tensor.shape;
  const c = rows / (heads as number);
  if (tensor.shape.length !== 2 || !Number.isInteger(c) || c % 2) return tensor;
  const stride = tensor.bytes.length / rows;
  const bytes = new Uint8Array(tensor.bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, place] = [Math.floor(row / c), row % c];
    const from = head * c + 2 * (place % (c / 2)) + Math.floor(place / (c / 2));
    bytes.set(tensor.bytes.subarray(from * stride, (from + 1) * stride), row * stride);
  }
  return { ...tensor, bytes };
}

/** The name in a Hugging Face file; one that is not known stays, and is refused with the others. */
function huggingFaceName(name: string, family: Family): string {
  const [, layer, part, kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const [outside, inside] = namesOf(family);
  const known = (layer === undefined ? outside : inside).get(part);
  if (known === undefined) return name;
  return `${layer === undefined ? "" : `${family.names.layers}.${layer}.`}${known}.${kind}`;
}

async function configOf(file: GgufFile): Promise<JsonObject> {
  const config = ggufConfigJson(file, file.path);
  if (!file.tensors.has(ROPE)) return config;
  const divisors = toFloat32(await file.read(ROPE));
  return { ...config, rope_scaling: llama3Scaling(divisors, Number(config.rope_theta), file.path) };
}

function ggufConfigJson({ metadata, tensors }: GgufHeader, path: string): JsonObject {
  const type = metadata.get("general.type") ?? "model";
  if (type !== "model") {
    throw new RangeError(
      `Cannot use ${path} as a model: found general.type ${JSON.stringify(type)}, expected "model"${
        type === "adapter" ? "; an adapter is for llama.cpp's --lora, or for readGgufAdapter" : ""
      }`,
    );
  }
  const architecture = metadata.get("general.architecture");
  if (!ARCHITECTURES.includes(architecture)) {
    throw new RangeError(
      `Cannot use ${path}: found general.architecture ${
        JSON.stringify(architecture ?? null)
      }, expected one of ${ARCHITECTURES.join(", ")}`,
    );
  }
  const about = (key: string) => decimal(metadata.get(`${architecture}.${key}`));
  const id = (role: string) => metadata.get(`tokenizer.ggml.${role}_token_id`);
  const [width, heads] = [about("embedding_length"), about("attention.head_count")];
  const headWidth = about("attention.key_length") ?? Number(width) / Number(heads);
  const scaling = about("rope.scaling.type") ?? "none";
  const window = about("attention.sliding_window");
  const windowed = window !== undefined;
  const { fields, names } = FAMILIES[architecture as FamilyName];
  const isLlama = architecture === "llama" || architecture === "mistral";
  const turned = {
    num_key_value_heads: about("attention.head_count_kv") ?? heads,
    head_dim: headWidth,
    rope_theta: about("rope.freq_base") ?? 10000,
    rope_scaling: scaling === "none" ? null : { rope_type: scaling },
    partial_rotary_factor: Number(about("rope.dimension_count") ?? headWidth) / Number(headWidth),
  };
  return {
    model_type: isLlama ? windowed ? "mistral" : "llama" : architecture,
    ...(windowed && { sliding_window: window, use_sliding_window: !isLlama }),
    vocab_size: about("vocab_size") ?? (metadata.get("tokenizer.ggml.tokens") as ArrayLike<unknown>)?.length,
    [fields.width]: width,
    [fields.layers]: about("block_count"),
    [fields.heads]: heads,
    [fields.mlpWidth]: about("feed_forward_length"),
    [fields.context]: about("context_length"),
    [fields.normEps!]: about("attention.layer_norm_rms_epsilon") ?? about("attention.layer_norm_epsilon"),
    ...(!names.positions && turned),
    tie_word_embeddings: !tensors.has("output.weight"),
    bos_token_id: id("bos") ?? null,
    eos_token_id: [...new Set([id("eos"), id("eot")])].filter((found) => found !== undefined),
  };
}

/** A number that was stored as f32 as the shortest decimal that gives it: 1e-5, not 9.999999747378752e-6. */
function decimal(value: GgufValue | undefined): GgufValue | undefined {
  if (typeof value !== "number" || Number.isInteger(value)) return value;
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
