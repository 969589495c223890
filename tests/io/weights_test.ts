import { assertEquals, assertThrows } from "@std/assert";
import { size } from "../../lib/core/shape.ts";
import { type DecoderConfig, parseModelConfig, readModelConfig } from "../../lib/io/model_config.ts";
import type { JsonObject } from "../../lib/io/json_file.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { checkTensors, expectedTensors, linearModules } from "../../lib/io/weights.ts";
import { referenceData } from "../helpers/requires.ts";

const CONFIG: DecoderConfig = parseModelConfig({
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 2,
  vocab_size: 5,
}, "config.json");

type Stored = Map<string, { dtype: "F32" | "I64"; shape: readonly number[] }>;

function stored(config = CONFIG): Stored {
  return new Map(
    [...expectedTensors(config)].map(([name, shape]) => [name, { dtype: "F32" as const, shape }]),
  );
}

Deno.test("expectedTensors() names every tensor with its shape, and the head unless it is tied", () => {
  const expected = expectedTensors(CONFIG);
  assertEquals(expected.size, 2 * 9 + 3);
  assertEquals(expected.get("model.layers.1.self_attn.k_proj.weight"), [4, 8]);
  assertEquals(expected.get("model.layers.1.mlp.down_proj.weight"), [8, 12]);
  assertEquals(expected.get("lm_head.weight"), [5, 8]);
  assertEquals(expectedTensors({ ...CONFIG, tiedEmbeddings: true }).has("lm_head.weight"), false);
});

Deno.test("linearModules() holds seven layers a block, none of them the head", () => {
  const modules = [...linearModules(CONFIG).keys()];
  assertEquals(modules.length, 14);
  assertEquals(modules[0], "model.layers.0.self_attn.q_proj");
  assertEquals(modules.some((path) => path.includes("lm_head")), false);
});

Deno.test("expectedTensors() adds up to the published number of parameters", () => {
  const count = (config: Partial<DecoderConfig>) =>
    expectedTensors({ ...CONFIG, ...config }).values().reduce((sum, shape) => sum + size(shape), 0);
  const llama2 = {
    vocabularySize: 32000,
    width: 4096,
    layers: 32,
    heads: 32,
    keyValueHeads: 32,
    headWidth: 128,
  };
  assertEquals(count({ ...llama2, mlpWidth: 11008 }), 6_738_415_616);
  const tiny = { vocabularySize: 32000, width: 2048, layers: 22, heads: 32, keyValueHeads: 4, headWidth: 64 };
  assertEquals(count({ ...tiny, mlpWidth: 5632 }), 1_100_048_384);
});

Deno.test("expectedTensors() adds a family's biases and head norms", () => {
  const added = (family: "qwen2" | "qwen3" | "gemma") =>
    [...expectedTensors({ ...CONFIG, family, layers: 1 })].filter(([name]) =>
      !expectedTensors(CONFIG).has(name)
    );
  const path = "model.layers.0.self_attn";
  assertEquals(added("qwen2"), [
    [`${path}.q_proj.bias`, [8]],
    [`${path}.k_proj.bias`, [4]],
    [`${path}.v_proj.bias`, [4]],
  ]);
  assertEquals(added("qwen3"), [[`${path}.q_norm.weight`, [4]], [`${path}.k_norm.weight`, [4]]]);
  assertEquals(added("gemma"), []);
});

Deno.test("expectedTensors() adds up to the published number of parameters of other families", () => {
  const count = (config: Partial<DecoderConfig>) =>
    expectedTensors({ ...CONFIG, ...config }).values().reduce((sum, shape) => sum + size(shape), 0);
  const mistral = { vocabularySize: 32000, width: 4096, layers: 32, heads: 32, keyValueHeads: 8 };
  assertEquals(count({ ...mistral, family: "mistral", headWidth: 128, mlpWidth: 14336 }), 7_241_732_096);
  const gemma = { vocabularySize: 256000, width: 2048, layers: 18, heads: 8, tiedEmbeddings: true };
  assertEquals(count({ ...gemma, family: "gemma", headWidth: 256, mlpWidth: 16384 }), 2_506_172_416);
});

Deno.test("expectedTensors() adds up to the published number of parameters of OPT and GPT-2", () => {
  const small = { vocab_size: 50272, hidden_size: 768, ffn_dim: 3072, num_attention_heads: 12 };
  const opt = { ...small, model_type: "opt", num_hidden_layers: 12 };
  const gpt2 = { model_type: "gpt2", vocab_size: 50257, n_embd: 768, n_head: 12, n_layer: 12 };
  const count = (json: JsonObject) =>
    expectedTensors(parseModelConfig(json, "config.json")).values().reduce(
      (sum, shape) => sum + size(shape),
      0,
    );
  assertEquals([opt, gpt2].map(count), [125_239_296, 124_439_808]);
});

Deno.test("linearModules() names the layers of OPT and GPT-2 as PEFT does", () => {
  const names = (family: "opt" | "gpt2") => [...linearModules({ ...CONFIG, family, layers: 1 }).keys()];
  const at = "model.decoder.layers.0";
  const attention = ["q", "k", "v", "out"].map((name) => `${at}.self_attn.${name}_proj`);
  assertEquals(names("opt"), [...attention, `${at}.fc1`, `${at}.fc2`]);
  const parts = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
  assertEquals(names("gpt2"), parts.map((name) => `transformer.h.0.${name}`));
});

Deno.test("checkTensors() lets a whole model pass, with inv_freq and a repeated tied head", () => {
  checkTensors(CONFIG, stored(), fileOf);
  const tied = { ...CONFIG, tiedEmbeddings: true };
  const more = stored();
  more.set("model.layers.0.self_attn.rotary_emb.inv_freq", { dtype: "F32", shape: [2] });
  checkTensors(tied, more, fileOf);
});

const fileOf = () => "m";

const WRONG: [string, (found: Stored) => void, string][] = [
  [
    "a missing tensor",
    (found) => found.delete("model.norm.weight"),
    "model.norm.weight in m: found nothing, expected [8]",
  ],
  [
    "a wrong shape",
    (found) => found.set("lm_head.weight", { dtype: "F32", shape: [8, 5] }),
    "lm_head.weight in m: found shape [8, 5], expected [5, 8]",
  ],
  [
    "a type that is no float",
    (found) => found.set("lm_head.weight", { dtype: "I64", shape: [5, 8] }),
    "lm_head.weight in m: found dtype I64, expected F32, F16 or BF16",
  ],
  [
    "a tensor too many",
    (found) => found.set("model.layers.0.self_attn.q_proj.bias", { dtype: "F32", shape: [8] }),
    "model.layers.0.self_attn.q_proj.bias in m: found [8], expected no such tensor",
  ],
  ["many problems with a count", (found) => found.clear(), "; and 16 more"],
];
for (const [what, change, says] of WRONG) {
  Deno.test(`checkTensors() reports ${what}`, () => {
    const found = stored();
    change(found);
    assertThrows(() => checkTensors(CONFIG, found, fileOf), RangeError, says);
  });
}

const stories = referenceData("stories260k/hf_derived");
Deno.test({
  name: "checkTensors() accepts stories260K",
  ignore: stories.ignore,
  async fn() {
    using model = await openModelTensors(stories.path);
    checkTensors(await readModelConfig(stories.path), model.tensors, model.fileOf);
    assertEquals((await model.read("model.norm.weight")).shape, [64]);
  },
});
