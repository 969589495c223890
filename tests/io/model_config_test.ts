import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FAMILIES, type FamilyName } from "../../lib/io/families.ts";
import { modelConfigJson, parseModelConfig, readModelConfig } from "../../lib/io/model_config.ts";
import { referenceData } from "../helpers/requires.ts";

/** As transformers 4 writes it. */
const OLD = {
  architectures: ["LlamaForCausalLM"],
  bos_token_id: 1,
  eos_token_id: [2, 3],
  hidden_act: "silu",
  hidden_size: 64,
  intermediate_size: 172,
  max_position_embeddings: 512,
  model_type: "llama",
  num_attention_heads: 8,
  num_hidden_layers: 5,
  num_key_value_heads: 4,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 500000,
  tie_word_embeddings: true,
  torch_dtype: "float32",
  vocab_size: 512,
};

/** As transformers 5 writes it: the rotary base lies in rope_parameters, torch_dtype is dtype. */
const { rope_theta: _theta, rope_scaling: _scaling, torch_dtype: _dtype, ...common } = OLD;
const NEW = {
  ...common,
  attention_bias: false,
  dtype: "float32",
  head_dim: 8,
  mlp_bias: false,
  pad_token_id: null,
  rope_parameters: { rope_theta: 500000, rope_type: "default" },
  transformers_version: "5.24.0",
};

Deno.test("parseModelConfig() reads both forms of transformers alike", () => {
  const expected = {
    family: "llama" as const,
    vocabularySize: 512,
    width: 64,
    layers: 5,
    heads: 8,
    keyValueHeads: 4,
    headWidth: 8,
    mlpWidth: 172,
    ropeBase: 500000,
    normEps: 1e-5,
    context: 512,
    tiedEmbeddings: true,
    bos: 1,
    eos: [2, 3],
  };
  assertEquals(parseModelConfig(OLD, "config.json"), expected);
  assertEquals(parseModelConfig(NEW, "config.json"), expected);
});

Deno.test("parseModelConfig() fills in transformers' defaults", () => {
  const found = parseModelConfig({
    model_type: "llama",
    hidden_size: 64,
    intermediate_size: 172,
    num_attention_heads: 4,
    num_hidden_layers: 1,
    vocab_size: 10,
    bos_token_id: null,
    eos_token_id: -1,
  }, "config.json");
  assertEquals([found.keyValueHeads, found.headWidth, found.ropeBase, found.normEps], [4, 16, 10000, 1e-6]);
  assertEquals([found.context, found.tiedEmbeddings, found.bos, found.eos], [2048, false, undefined, []]);
});

Deno.test("parseModelConfig() takes Mistral's window where it is inside the context", () => {
  const window = (change: Record<string, unknown>) =>
    parseModelConfig({
      ...{ ...OLD, model_type: "mistral", architectures: ["MistralForCausalLM"] },
      ...change,
    }, "config.json").window;
  assertEquals([256, 511, 512, 4096, null].map((sliding_window) => window({ sliding_window })), [
    256,
    511,
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(window({ max_position_embeddings: 8192 }), 4096);
  const json = modelConfigJson(parseModelConfig(OLD, "config.json"), "f32");
  assertEquals("sliding_window" in json, false);
});

Deno.test("modelConfigJson() writes what parseModelConfig() reads", () => {
  const config = parseModelConfig(OLD, "config.json");
  assertEquals(parseModelConfig(modelConfigJson(config, "f16"), "config.json"), config);
  const plain = { ...config, bos: undefined, eos: [] };
  assertEquals(parseModelConfig(modelConfigJson(plain, "f32"), "config.json"), plain);
  for (const family of Object.keys(FAMILIES) as FamilyName[]) {
    const { ropeBase, ...learned } = { ...config, family, keyValueHeads: config.heads };
    const ropeScaling = { factor: 8, low: 1, high: 4, context: 128 };
    const turned = { ...config, family, ropeBase, ropeScaling };
    if (family === "mistral") Object.assign(turned, { window: 64 });
    const one = FAMILIES[family].names.positions ? learned : turned;
    assertEquals(parseModelConfig(modelConfigJson(one, "bf16"), "config.json"), one);
  }
});

const REFUSED: [Record<string, unknown>, string][] = [
  [{ model_type: "gpt_neox" }, 'found model_type "gpt_neox", expected "llama" or "mistral"'],
  [{ model_type: undefined }, 'expected "llama"'],
  [{ model_type: "qwen2" }, 'found architectures ["LlamaForCausalLM"], expected ["Qwen2ForCausalLM"]'],
  [{ use_sliding_window: true }, "found use_sliding_window true, expected null or false"],
  [
    { model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: 0 },
    "found sliding_window 0, expected null or a whole number > 0",
  ],
  [{ architectures: ["LlamaForSequenceClassification"] }, "found architectures"],
  [{ hidden_act: "gelu" }, 'found hidden_act "gelu", expected "silu"'],
  [{ attention_bias: true }, "found attention_bias true, expected null or false"],
  [{ mlp_bias: true }, "found mlp_bias true"],
  [{ quantization_config: { bits: 4 } }, 'found quantization_config {"bits":4}'],
  [{ rope_scaling: { type: "linear", factor: 2 } }, 'found rope_type "linear"'],
  [{ rope_scaling: { rope_type: "llama3" } }, "found factor null, expected a number > 0"],
  [
    { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
    "found high_freq_factor 4, expected a number above low_freq_factor 4",
  ],
  [{ rope_parameters: { rope_type: "yarn", rope_theta: 1e4 } }, 'found rope_type "yarn"'],
  [{ rope_theta: -1 }, "found rope_theta -1"],
  [{ partial_rotary_factor: 0.5 }, "found partial_rotary_factor 0.5"],
  [{ num_key_value_heads: 3 }, "found num_key_value_heads 3, expected a divisor of num_attention_heads 8"],
  [{ hidden_size: "64" }, 'found hidden_size "64", expected a whole number > 0'],
  [{ hidden_size: undefined }, "found hidden_size null"],
  [{ hidden_size: 60 }, "found head_dim 7.5"],
  [{ head_dim: 7 }, "found head_dim 7, expected an even number"],
  [{ num_hidden_layers: 0 }, "found num_hidden_layers 0"],
  [{ vocab_size: 1e300 }, "found vocab_size 1e+300"],
  [{ rms_norm_eps: "1e-5" }, 'found rms_norm_eps "1e-5"'],
  [{ tie_word_embeddings: "no" }, 'found tie_word_embeddings "no"'],
  [{ eos_token_id: 512 }, "found eos_token_id 512, expected token ids below vocab_size 512"],
  [{ bos_token_id: "<s>" }, "found bos_token_id"],
];
for (const [change, says] of REFUSED) {
  Deno.test(`parseModelConfig() refuses ${JSON.stringify(change)}`, () => {
    assertThrows(
      () => parseModelConfig({ ...OLD, ...change }, "m/config.json"),
      RangeError,
      `Cannot use m/config.json: ${says.startsWith("found") ? says : ""}`,
    );
    assertThrows(() => parseModelConfig({ ...OLD, ...change }, "m/config.json"), RangeError, says);
  });
}

const OPT = { model_type: "opt", hidden_size: 64, ffn_dim: 8, num_attention_heads: 4, num_hidden_layers: 1 };
const GPT2 = { model_type: "gpt2", n_embd: 64, n_head: 4, n_layer: 1 };

Deno.test("parseModelConfig() fills in transformers' defaults of OPT and GPT-2", () => {
  const opt = parseModelConfig({ ...OPT, vocab_size: 10 }, "config.json");
  assertEquals([opt.context, opt.normEps, opt.tiedEmbeddings, opt.ropeBase], [2048, 1e-5, true, undefined]);
  const gpt2 = parseModelConfig({ ...GPT2, vocab_size: 10, n_inner: null }, "config.json");
  assertEquals([gpt2.context, gpt2.mlpWidth, gpt2.headWidth, gpt2.keyValueHeads], [1024, 256, 16, 4]);
});

const REFUSED_OTHERS: [Record<string, unknown>, string][] = [
  [
    { ...OPT, do_layer_norm_before: false },
    "found do_layer_norm_before false, expected true: norms after the sums, as OPT-350m has them",
  ],
  [
    { ...OPT, word_embed_proj_dim: 32 },
    "found word_embed_proj_dim 32, expected hidden_size 64: projected embeddings, as in OPT-350m",
  ],
  [{ ...OPT, activation_function: "gelu" }, 'found activation_function "gelu", expected "relu"'],
  [{ ...OPT, enable_bias: false }, "found enable_bias false, expected null or true"],
  [{ ...OPT, ffn_dim: undefined }, "found ffn_dim null, expected a whole number > 0"],
  [{ ...GPT2, n_head: 5 }, "found head_dim 12.8"],
  [{ ...GPT2, n_embd: "64" }, 'found n_embd "64", expected a whole number > 0'],
  [{ ...GPT2, layer_norm_epsilon: "1e-5" }, 'found layer_norm_epsilon "1e-5", expected a number >= 0'],
  [{ ...GPT2, scale_attn_by_inverse_layer_idx: true }, "found scale_attn_by_inverse_layer_idx true"],
  [{ ...GPT2, activation_function: "gelu" }, 'expected "gelu_new" or "gelu_pytorch_tanh"'],
];
for (const [json, says] of REFUSED_OTHERS) {
  Deno.test(`parseModelConfig() refuses ${json.model_type} where ${says}`, () => {
    assertThrows(() => parseModelConfig({ vocab_size: 10, ...json }, "config.json"), RangeError, says);
  });
}

Deno.test("readModelConfig() names a folder without config.json and a file that is not JSON", async () => {
  const folder = await Deno.makeTempDir();
  await assertRejects(() => readModelConfig(folder), Deno.errors.NotFound, `${folder}/config.json`);
  await Deno.writeTextFile(`${folder}/config.json`, "{");
  await assertRejects(() => readModelConfig(folder), SyntaxError, `${folder}/config.json`);
  await Deno.remove(folder, { recursive: true });
});

/** Sizes in the published files of these models. */
const PUBLISHED: Record<string, string> = {
  "llama-2-7b": "4096 x 32",
  "tinyllama-1.1b-chat-v1.0": "2048 x 22",
  "gemma-2b": "2048 x 18",
  "gpt2-medium": "1024 x 24",
  "mistral-7b-v0.1": "4096 x 32",
  "opt-1.3b": "2048 x 24",
};
const configs = referenceData("configs");
for (const [model, expected] of Object.entries(PUBLISHED)) {
  Deno.test({
    name: `parseModelConfig() on the published config.json of ${model}: ${expected}`,
    ignore: configs.ignore,
    fn() {
      const json = JSON.parse(Deno.readTextFileSync(`${configs.path}/${model}.config.json`));
      const { width, layers } = parseModelConfig(json, model);
      assertEquals(`${width} x ${layers}`, expected);
    },
  });
}
