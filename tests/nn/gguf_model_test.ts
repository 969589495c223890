import { assert, assertEquals, assertRejects } from "@std/assert";
import { type HostTensor, hostTensor } from "../../lib/core/host_tensor.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { resolveModel } from "../../lib/io/model_folder.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, fixturePath } from "../helpers/fixtures.ts";
import { encodeGguf, inGguf, type TypedValue } from "../helpers/gguf.ts";
import { blocksAndWide, ggufTensors, metadataOf } from "../helpers/gguf_model.ts";

const tied = await readModelConfig(fixturePath("llama_tied"));
const metadata = metadataOf(tied);

const MODELS = ["llama_tied", "llama_untied", "mistral", "qwen2", "qwen3", "gemma", "gpt2"] as const;
const loaded = [...MODELS.map((name) => [name, undefined] as const), ["mistral", "llama"] as const];
for (const [name, architecture] of loaded) {
  const as = architecture ? `, called ${architecture},` : "";
  Deno.test(`loadModel() loads ${name}${as} from a GGUF file: transformers' likelihoods`, async () => {
    const gpu = await testDevice();
    const { ids, nll } = await expected(name);
    const folder = await readModelConfig(fixturePath(name));
    await inGguf(encodeGguf(metadataOf(folder, architecture), await ggufTensors(name)), async (path) => {
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
  const ids = [[1, 5, 9, 33, 96, 0, 12], [4, 4, 60, 7]];
  const { blocks, wide } = await blocksAndWide();
  const scores: number[][][] = [];
  for (const [file, dtype] of [[blocks, "q4_1"], [wide, "f32"]] as const) {
    await inGguf(file, async (path) => {
      using model = await loadModel(path, { gpu });
      assertEquals(model.weights.get("model.layers.0.self_attn.q_proj.weight")!.dtype, dtype);
      scores.push((await score(model, ids)).map((row) => [...row]));
    });
  }
  assert(scores[0].every((row) => row.every(Number.isFinite)));
  assertEquals(scores[0], scores[1]);
});

Deno.test("readModelConfig() takes a llama with a window for a mistral, one without for a llama, and refuses windows of other families", async () => {
  const window: TypedValue = ["u32", tied.context];
  await inGguf(encodeGguf({ ...metadata, "llama.attention.sliding_window": window }), async (path) => {
    assertEquals((await readModelConfig(path)).family, "mistral");
  });
  await inGguf(encodeGguf(metadataOf(tied, "mistral")), async (path) => {
    const { family, window } = await readModelConfig(path);
    assertEquals([family, window], ["llama", undefined]);
  });
  const qwen = metadataOf(await readModelConfig(fixturePath("qwen2")));
  await inGguf(encodeGguf({ ...qwen, "qwen2.attention.sliding_window": window }), async (path) => {
    await assertRejects(() => readModelConfig(path), RangeError, "found use_sliding_window true");
  });
});

Deno.test("readModelConfig() knows Llama 3.1's stretched angles by what a GGUF file stores of them", async () => {
  // factor 8, low 1, high 4, context 8192, by numpy with the converter's formula on f32 frequencies of base 500000, c = 16.
  const divisors = [1, 1, 1, 1, 2.69453, 8, 8, 8];
  const values: Record<string, TypedValue> = {
    ...metadata,
    "llama.rope.freq_base": ["f32", 500000],
    "llama.attention.key_length": ["u32", 16],
    "llama.rope.dimension_count": ["u32", 16],
  };
  const ropeOf = (stored: number[]) =>
    inGguf(encodeGguf(values, { "rope_freqs.weight": hostTensor([8], stored) }), async (path) => {
      const { ropeScaling } = await readModelConfig(path);
      assertEquals(ropeScaling, { factor: 8, low: 1, high: 4, context: 8192 });
    });
  await ropeOf(divisors);
  await assertRejects(
    () => ropeOf([1, 1, 1, 1, 1, 8, 8, 8]),
    RangeError,
    "rope_freqs.weight[4] 1, expected 2.6945",
  );
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
    { "general.architecture": ["string", "bloom"] },
    tensors,
    'general.architecture "bloom", expected one of llama, mistral, qwen2, qwen3, gemma, gpt2',
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
  await fails({}, rest, ".gguf: found nothing, expected [32]");
  await fails(
    {},
    { ...tensors, "blk.0.attn_q.bias": norm },
    ".gguf: found [32], expected no such tensor",
  );
  await fails({}, { ...tensors, "rope_freqs.weight": norm }, "found rope_freqs.weight[0]");
  await fails({ "llama.block_count": ["u32", 3] }, tensors, "model.layers.2");
});
