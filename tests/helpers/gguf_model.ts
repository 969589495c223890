import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { type DecoderConfig, readModelConfig } from "../../lib/io/model_config.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { randomBlocks } from "./blocks.ts";
import { fixturePath } from "./fixtures.ts";
import { encodeGguf, type TypedValue } from "./gguf.ts";

const NAMES: [RegExp, string][] = [
  [/^model\.embed_tokens/, "token_embd"],
  [/^model\.norm/, "output_norm"],
  [/^lm_head/, "output"],
  [/^model\.layers\./, "blk."],
  [/input_layernorm/, "attn_norm"],
  [/post_attention_layernorm/, "ffn_norm"],
  [/self_attn\.o_proj/, "attn_output"],
  [/self_attn\.(.)_proj/, "attn_$1"],
  [/self_attn\.(.)_norm/, "attn_$1_norm"],
  [/mlp\.(gate|up|down)_proj/, "ffn_$1"],
  [/^transformer\.wte/, "token_embd"],
  [/^transformer\.wpe/, "position_embd"],
  [/^transformer\.ln_f/, "output_norm"],
  [/^transformer\.h\./, "blk."],
  [/ln_1/, "attn_norm"],
  [/ln_2/, "ffn_norm"],
  [/attn\.c_attn/, "attn_qkv"],
  [/attn\.c_proj/, "attn_output"],
  [/mlp\.c_fc/, "ffn_up"],
  [/mlp\.c_proj/, "ffn_down"],
];

/** The rows of q or k as llama.cpp's converter leaves them: `w.reshape(heads, 2, c / 2, in).swapaxes(1, 2)`. */
function inTurns({ shape, ...tensor }: HostTensor, heads: number): HostTensor {
  const [rows, stride] = [shape[0], tensor.bytes.length / shape[0]];
  const half = rows / heads / 2;
  const order: number[] = [];
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) for (const side of [0, 1]) order.push((2 * head + side) * half + i);
  }
  const bytes = order.flatMap((row) => [...tensor.bytes.subarray(row * stride, (row + 1) * stride)]);
  return { ...tensor, shape, bytes: Uint8Array.from(bytes) };
}

/** What a converter writes of `config`, under this name of its architecture. */
export function metadataOf(
  config: DecoderConfig,
  architecture: string = config.family,
): Record<string, TypedValue> {
  const about = (key: string) => `${architecture}.${key}`;
  return {
    "general.architecture": ["string", architecture],
    ...(config.window && { [about("attention.sliding_window")]: ["u32", config.window] }),
    [about("vocab_size")]: ["u32", config.vocabularySize],
    [about("embedding_length")]: ["u32", config.width],
    [about("block_count")]: ["u32", config.layers],
    [about("attention.head_count")]: ["u32", config.heads],
    ...(config.ropeBase !== undefined && {
      [about("attention.head_count_kv")]: ["u32", config.keyValueHeads],
      [about("attention.key_length")]: ["u32", config.headWidth],
      [about("rope.dimension_count")]: ["u32", config.headWidth],
      [about("rope.freq_base")]: ["f32", config.ropeBase],
      [about("attention.layer_norm_rms_epsilon")]: ["f32", config.normEps],
    }),
    ...(config.family === "gpt2" && { [about("attention.layer_norm_epsilon")]: ["f32", config.normEps] }),
    [about("feed_forward_length")]: ["u32", config.mlpWidth],
    [about("context_length")]: ["u32", config.context],
    "tokenizer.ggml.bos_token_id": ["u32", config.bos!],
    "tokenizer.ggml.eos_token_id": ["u32", config.eos[0]],
  };
}

/** The tensors of a committed model under GGUF's names, each first changed by `change`. */
export async function ggufTensors(
  model: string,
  change = (tensor: HostTensor, _name: string): HostTensor => tensor,
): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = {};
  const config = await readModelConfig(fixturePath(model));
  using file = await openModelTensors(fixturePath(model));
  for (const name of file.tensors.keys()) {
    const own = NAMES.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name);
    const tensor = change(await file.read(name), name);
    if (config.family === "gemma" && own.endsWith("norm.weight")) {
      tensors[own] = hostTensor(tensor.shape, toFloat32(tensor).map((x) => x + 1));
      continue;
    }
    const heads = /^(llama|mistral)$/.test(config.family) ? /attn_([qk])\.weight/.exec(own)?.[1] : undefined;
    tensors[own] = heads ? inTurns(tensor, heads === "q" ? config.heads : config.keyValueHeads) : tensor;
  }
  return tensors;
}

/** Of the matrices of llama_tied whose rows are whole blocks: random blocks, in size about what they were. */
function blocksFor(rng: Rng): (tensor: HostTensor, name: string) => HostTensor {
  return (tensor, name) => {
    if (tensor.shape.length !== 2 || tensor.shape[1] % 32) return tensor;
    const dtype = /embed/.test(name) ? "q8_0" : /q_proj|up_proj/.test(name) ? "q4_1" : "q5_0";
    const host = randomBlocks(rng, tensor.shape as [number, number], dtype);
    const view = new DataView(host.bytes.buffer);
    const [stride, half] = dtype === "q8_0" ? [34, 0x1400] : dtype === "q4_1" ? [20, 0x2400] : [22, 0x2400];
    for (let at = 0; at < host.bytes.length; at += stride) {
      view.setUint16(at, half + rng.below(256), true);
      if (dtype === "q4_1") view.setUint16(at + 2, 0xb000 + rng.below(256), true);
    }
    return host;
  };
}

/** llama_tied as two GGUF files of the same numbers: matrices in blocks, and all of it in f32. */
export async function blocksAndWide(): Promise<{ blocks: Uint8Array; wide: Uint8Array }> {
  const metadata = metadataOf(await readModelConfig(fixturePath("llama_tied")));
  const make = blocksFor(new Rng(3, "gguf model"));
  const wide = new Map<string, HostTensor>();
  const blocks = await ggufTensors("llama_tied", (tensor, name) => {
    const host = make(tensor, name);
    wide.set(name, hostTensor(host.shape, toFloat32(host)));
    return host;
  });
  return {
    blocks: encodeGguf(metadata, blocks),
    wide: encodeGguf(metadata, await ggufTensors("llama_tied", (_, name) => wide.get(name)!)),
  };
}
