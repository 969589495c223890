import { assert, assertEquals, assertRejects } from "@std/assert";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { type DecoderConfig, readModelConfig } from "../../lib/io/model_config.ts";
import { resolveModel } from "../../lib/io/model_folder.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, modelFolder } from "../helpers/fixtures.ts";
import { encodeGguf, inGguf, type TypedValue } from "../helpers/gguf.ts";

const NAMES: [RegExp, string][] = [
  [/^model\.embed_tokens/, "token_embd"],
  [/^model\.norm/, "output_norm"],
  [/^lm_head/, "output"],
  [/^model\.layers\./, "blk."],
  [/input_layernorm/, "attn_norm"],
  [/post_attention_layernorm/, "ffn_norm"],
  [/self_attn\.o_proj/, "attn_output"],
  [/self_attn\.(.)_proj/, "attn_$1"],
  [/mlp\.(\w+)_proj/, "ffn_$1"],
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

/** What a converter writes of `config`. */
const metadataOf = (config: DecoderConfig): Record<string, TypedValue> => ({
  "general.architecture": ["string", "llama"],
  "llama.vocab_size": ["u32", config.vocabularySize],
  "llama.embedding_length": ["u32", config.width],
  "llama.block_count": ["u32", config.layers],
  "llama.attention.head_count": ["u32", config.heads],
  "llama.attention.head_count_kv": ["u32", config.keyValueHeads],
  "llama.attention.key_length": ["u32", config.headWidth],
  "llama.rope.dimension_count": ["u32", config.headWidth],
  "llama.feed_forward_length": ["u32", config.mlpWidth],
  "llama.context_length": ["u32", config.context],
  "llama.attention.layer_norm_rms_epsilon": ["f32", config.normEps],
  "llama.rope.freq_base": ["f32", config.ropeBase],
  "tokenizer.ggml.bos_token_id": ["u32", config.bos!],
  "tokenizer.ggml.eos_token_id": ["u32", config.eos[0]],
});

const tied = await readModelConfig(modelFolder("llama_tied")!);
const metadata = metadataOf(tied);

/** The tensors of a committed model under GGUF's names, each first changed by `change`. */
async function ggufTensors(
  model: "llama_tied" | "llama_untied",
  change = (tensor: HostTensor, _name: string): HostTensor => tensor,
): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = {};
  const config = await readModelConfig(modelFolder(model)!);
  using file = await openModelTensors(modelFolder(model)!);
  for (const name of file.tensors.keys()) {
    const own = NAMES.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name);
    const tensor = change(await file.read(name), name);
    const heads = /attn_([qk])/.exec(own)?.[1];
    tensors[own] = heads ? inTurns(tensor, heads === "q" ? config.heads : config.keyValueHeads) : tensor;
  }
  return tensors;
}

for (const name of ["llama_tied", "llama_untied"] as const) {
  Deno.test(`loadModel() loads ${name} from a GGUF file: transformers' likelihoods`, async () => {
    const gpu = await testDevice();
    const { ids, nll } = await expected(name);
    const folder = await readModelConfig(modelFolder(name)!);
    await inGguf(encodeGguf(metadataOf(folder), await ggufTensors(name)), async (path) => {
      assertEquals(await resolveModel(path), path);
      assertEquals(await readModelConfig(path), folder);
      using model = await loadModel(path, { gpu });
      assertEquals([model.source.folder, model.tokenizer], [path, undefined]);
      (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], 1e-5, `row ${i}`));
    });
  });
}

Deno.test("loadModel() leaves blocks as they are: the same bits as from their f32 numbers", async () => {
  const gpu = await testDevice();
  const rng = new Rng(3, "gguf model");
  const wide: Record<string, HostTensor> = {};
  /** Blocks with scales that are no wild numbers, where rows are whole blocks. */
  const blocks = (tensor: HostTensor, name: string): HostTensor => {
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
  const narrow = await ggufTensors("llama_tied", (tensor, name) => {
    const host = blocks(tensor, name);
    wide[name] = hostTensor(host.shape, toFloat32(host));
    return host;
  });
  const ids = [[1, 5, 9, 33, 96, 0, 12], [4, 4, 60, 7]];
  const scores: Float64Array[][] = [];
  for (const tensors of [narrow, await ggufTensors("llama_tied", (_, name) => wide[name])]) {
    await inGguf(encodeGguf(metadata, tensors), async (path) => {
      using model = await loadModel(path, { gpu });
      const stored = model.weights.get("model.layers.0.self_attn.q_proj.weight")!.dtype;
      assertEquals(stored, tensors === narrow ? "q4_1" : "f32");
      scores.push((await score(model, ids)).map((row) => Float64Array.from(row)));
    });
  }
  assert(scores[0].every((row) => row.every(Number.isFinite)));
  assertEquals(scores[0], scores[1]);
});

Deno.test("loadModel() says what of a GGUF file it cannot use", async () => {
  const gpu = await testDevice();
  const tensors = await ggufTensors("llama_tied");
  const fails = (values: Record<string, TypedValue>, weights: Record<string, HostTensor>, message: string) =>
    inGguf(encodeGguf({ ...metadata, ...values }, weights), async (path) => {
      const before = gpu.liveBytes;
      await assertRejects(() => loadModel(path, { gpu }), RangeError, message);
      assertEquals(gpu.liveBytes, before);
    });
  await fails(
    { "general.architecture": ["string", "qwen2"] },
    tensors,
    'general.architecture "qwen2", expected "llama"',
  );
  await fails({ "llama.rope.scaling.type": ["string", "yarn"] }, tensors, 'found rope_type "yarn"');
  await fails(
    { "llama.rope.dimension_count": ["u32", 4] },
    tensors,
    "found partial_rotary_factor 0.5, expected 1",
  );
  await fails(
    { "llama.embedding_length": ["string", "32"] },
    tensors,
    'found hidden_size "32", expected a whole number',
  );
  const { "output_norm.weight": norm, ...rest } = tensors;
  await fails({}, rest, "model.norm.weight: found nothing, expected [32]");
  await fails(
    {},
    { ...tensors, "blk.0.attn_q.bias": norm },
    "blk.0.attn_q.bias: found [32], expected no such tensor",
  );
  await fails({ "llama.block_count": ["u32", 3] }, tensors, "model.layers.2");
});
