import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { modelConfigJson, parseModelConfig } from "../../lib/io/model_config.ts";
import { readPeftAdapter, writePeftAdapter } from "../../lib/io/peft.ts";
import {
  moduleRank,
  moduleScale,
  parsePeftConfig,
  peftConfigJson,
  startOf,
} from "../../lib/io/peft_format.ts";
import { isTarget } from "../../lib/io/peft_targets.ts";
import type { PeftAdapter, PeftConfig, PeftFactors, PeftRows } from "../../lib/io/peft_format.ts";
import { openSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";
import { linearModules } from "../../lib/io/weights.ts";
import { bound, expectClose } from "../helpers/close.ts";
import { referenceData, requires } from "../helpers/requires.ts";
import { inFolder } from "../helpers/folder.ts";

const MODEL = parseModelConfig({
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 2,
  vocab_size: 16,
}, "config.json");

const CONFIG: PeftConfig = {
  rank: 3,
  alpha: 6,
  dropout: 0.25,
  targetModules: ["q_proj", "down_proj"],
  rankPattern: { "layers.1.self_attn.q_proj": 2 },
  alphaPattern: { "down_proj": 5 },
  rsLora: false,
  dora: false,
  init: "olora",
  baseModel: "some/base",
};

/** An adapter of random factors for the targets of `config` in MODEL. */
function sample(config = CONFIG): PeftAdapter {
  const rng = new Rng(5);
  const random = (...shape: number[]) =>
    hostTensor(shape, Array.from({ length: shape[0] * shape[1] }, () => rng.normal()));
  const factors = new Map<string, PeftFactors>();
  for (const [path, linear] of [...linearModules(MODEL)].sort(([p], [q]) => p < q ? -1 : 1)) {
    if (!isTarget(config.targetModules, path)) continue;
    const rank = moduleRank(config, path);
    factors.set(path, { a: random(rank, linear.in), b: random(linear.out, rank) });
  }
  return { config, factors };
}

Deno.test("readPeftAdapter() reads back what writePeftAdapter() wrote, bit for bit", () =>
  inFolder(async (folder) => {
    await writePeftAdapter(`${folder}/adapter`, sample());
    assertEquals(await readPeftAdapter(`${folder}/adapter`), sample());
  }));

Deno.test("moduleRank() and moduleScale() follow the first pattern that matches a path's end", () => {
  const q = "model.layers.1.self_attn.q_proj";
  assertEquals([moduleRank(CONFIG, q), moduleScale(CONFIG, q)], [2, 3]);
  assertEquals(moduleRank(CONFIG, "model.layers.11.self_attn.q_proj"), 3);
  assertEquals(moduleScale(CONFIG, "model.layers.0.mlp.down_proj"), 5 / 3);
  assertEquals(moduleScale({ ...CONFIG, rsLora: true }, q), 6 / Math.sqrt(2));
});

Deno.test("peftConfigJson() names a base on the hub as Python does", () => {
  const named = (baseModel: string | undefined) => {
    const { base_model_name_or_path, revision } = peftConfigJson({ ...CONFIG, baseModel });
    return [base_model_name_or_path, revision];
  };
  assertEquals(named("hf:org/name@refs/pr/1"), ["org/name", "refs/pr/1"]);
  assertEquals(named("hf:org/name/a.gguf"), ["org/name", "main"]);
  assertEquals([named("tiny"), named(undefined)], [["tiny", undefined], [null, undefined]]);
});

Deno.test("startOf() knows which of PEFT's starts are taken out of the base", () => {
  assertEquals(
    [
      true,
      false,
      "olora",
      "OLoRA",
      "pissa",
      "pissa_niter_4",
      "lora_ga",
      "gaussian",
      "eva",
      "orthogonal",
      "mica",
    ]
      .map(startOf),
    [undefined, undefined, "olora", "olora", "pissa", "pissa", "lora-ga", ...Array(4).fill(undefined)],
  );
});

const REFUSED: [Record<string, unknown>, string][] = [
  [{ peft_type: "IA3" }, 'found peft_type "IA3", expected "LORA"'],
  [{ bias: "some" }, 'found bias "some", expected "none", "all" or "lora_only"'],
  [
    { lora_bias: true, init_lora_weights: "pissa" },
    "expected a start that leaves the base alone, with lora_bias",
  ],
  [
    { lora_bias: true, use_dora: true, init_lora_weights: true },
    "found lora_bias true, expected it unset, with use_dora",
  ],
  [{ modules_to_save: [3] }, "found modules_to_save [3], expected names of modules"],
  [{ target_parameters: ["x"] }, "found target_parameters"],
  [{ r: 0 }, "found r 0"],
  [{ r: undefined }, "found r missing"],
  [{ lora_alpha: "16" }, 'found lora_alpha "16"'],
  [{ lora_dropout: 1 }, "found lora_dropout 1"],
  [{ target_modules: "(" }, 'found target_modules "("'],
  [{ target_modules: [1] }, "found target_modules [1]"],
  [{ rank_pattern: { q_proj: 1.5 } }, "found rank_pattern"],
  [{ rank_pattern: { "(": 1 } }, "found rank_pattern"],
  [{ alpha_pattern: [] }, "found alpha_pattern"],
  [{ trainable_token_indices: [-3] }, "found trainable_token_indices [-3], expected ids of tokens"],
  [{ trainable_token_indices: { lm_head: 2 } }, 'found trainable_token_indices {"lm_head":2}'],
  [{ layer_replication: [[0, 2]] }, "found layer_replication [[0,2]]"],
  [{ exclude_modules: "(" }, 'found exclude_modules "("'],
  [{ layers_to_transform: [-1] }, "found layers_to_transform [-1]"],
  [{ layers_pattern: ["("] }, 'found layers_pattern ["("]'],
  [{ init_lora_weights: "loftq" }, 'found init_lora_weights "loftq", expected true, false, "olora"'],
  [{ init_lora_weights: "LoRA_GA" }, 'found init_lora_weights "LoRA_GA"'],
  [{ init_lora_weights: 3 }, "found init_lora_weights 3"],
];
for (const [change, says] of REFUSED) {
  Deno.test(`parsePeftConfig() refuses ${JSON.stringify(change)}`, () => {
    const json = { ...peftConfigJson(CONFIG), ...change };
    const error = assertThrows(() => parsePeftConfig(json, "a/adapter_config.json"), RangeError, says);
    assertEquals(error.message.startsWith("Cannot use a/adapter_config.json: found"), true);
  });
}

Deno.test("readPeftAdapter() ignores fields that it does not know, and lists them", () =>
  inFolder(async (folder) => {
    await writePeftAdapter(folder, sample());
    const json = { ...peftConfigJson(CONFIG), brand_new: { x: 1 }, peft_version: "9", use_qalora: false };
    await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(json));
    assertEquals(await readPeftAdapter(folder), { ...sample(), unknownFields: ["brand_new"] });
  }));

Deno.test("readPeftAdapter() refuses factors of a module that the configuration leaves out", () =>
  inFolder(async (folder) => {
    await writePeftAdapter(folder, sample());
    const json = { ...peftConfigJson(CONFIG), exclude_modules: ["down_proj"], layers_to_transform: 1 };
    await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(json));
    await assertRejects(
      () => readPeftAdapter(folder),
      RangeError,
      'module model.layers.0.mlp.down_proj is none of its target modules ["q_proj","down_proj"] without ["down_proj"] in layers [1]',
    );
  }));

Deno.test("writePeftAdapter() keeps which layers and modules are meant", () =>
  inFolder(async (folder) => {
    const config = { ...CONFIG, excludeModules: ["mlp.down_proj"], layers: [1], layersPattern: ["layers"] };
    const [path, factors] = [...sample().factors].find(([path]) => path.includes("1.self_attn.q_proj"))!;
    const adapter = { config, factors: new Map([[path, factors]]) };
    await writePeftAdapter(folder, adapter);
    assertEquals(await readPeftAdapter(folder), adapter);
  }));

Deno.test("writePeftAdapter() and readPeftAdapter() keep magnitudes, and refuse them missing or of another length", () =>
  inFolder(async (folder) => {
    const config = { ...CONFIG, init: true, dora: true };
    const withLengths = (length: (out: number) => number) =>
      new Map([...sample(config).factors].map(([path, { a, b }]) => {
        const out = length(b.shape[0]);
        return [path, { a, b, magnitude: hostTensor([out], Array.from({ length: out }, (_, i) => i)) }];
      }));
    const adapter = { config, factors: withLengths((out) => out) };
    await writePeftAdapter(folder, adapter);
    assertEquals(await readPeftAdapter(folder), adapter);
    const refusals: [ReadonlyMap<string, PeftFactors>, string][] = [
      [sample(config).factors, "has no lora_magnitude_vector, expected one of [8], as use_dora is true"],
      [withLengths((out) => out + 1), "has lora_magnitude_vector [9], expected one of [8]"],
    ];
    for (const [factors, says] of refusals) {
      await assertRejects(() => writePeftAdapter(folder, { config, factors }), RangeError, says);
    }
  }));

Deno.test("writePeftAdapter() and readPeftAdapter() keep biases, modules saved whole and rows of tokens", () =>
  inFolder(async (folder) => {
    const config: PeftConfig = {
      ...CONFIG,
      ...{
        init: true,
        bias: "all",
        loraBias: true,
        modulesToSave: ["norm"],
        tokens: { embed_tokens: [5, 1] },
      },
    };
    const range = (...shape: number[]) =>
      hostTensor(shape, Array.from({ length: shape.reduce((n, axis) => n * axis, 1) }, (_, i) => i));
    const adapter: PeftAdapter = {
      config,
      factors: new Map(
        [...sample(config).factors].map(([path, { a, b }]) => [path, { a, b, bias: range(b.shape[0]) }]),
      ),
      weights: new Map<string, HostTensor | PeftRows>([
        ["model.embed_tokens.weight", { ids: [5, 1], rows: range(2, 8) }],
        ["model.layers.0.self_attn.q_proj.bias", range(8)],
        ["model.norm.weight", range(8)],
        ["transformer.h.0.mlp.c_fc.weight", range(3, 2)],
      ]),
    };
    await writePeftAdapter(folder, adapter);
    assertEquals(await readPeftAdapter(folder), adapter);
    using file = await openSafetensors(`${folder}/adapter_model.safetensors`);
    const names = [...file.tensors.keys()].filter((name) => !/lora_[AB]\.weight/.test(name)).sort();
    assertEquals(names.map((name) => name.replace("base_model.model.", "")), [
      "model.embed_tokens.token_adapter.trainable_tokens_delta",
      "model.layers.0.mlp.down_proj.lora_B.bias",
      "model.layers.0.self_attn.q_proj.base_layer.bias",
      "model.layers.0.self_attn.q_proj.lora_B.bias",
      "model.layers.1.mlp.down_proj.lora_B.bias",
      "model.layers.1.self_attn.q_proj.lora_B.bias",
      "model.norm.weight",
      "transformer.h.0.mlp.c_fc.weight",
    ]);
    assertEquals(file.tensors.get("base_model.model.transformer.h.0.mlp.c_fc.weight")!.shape, [2, 3]);
    const { tokens: _, ...untold } = config;
    const json = peftConfigJson(untold);
    await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(json));
    await assertRejects(
      () => readPeftAdapter(folder),
      RangeError,
      "found token_adapter.trainable_tokens_delta [2, 8] of model.embed_tokens, expected [0, d]",
    );
  }));

const Q0 = "base_model.model.model.layers.0.self_attn.q_proj";
const BROKEN: [string, string, string][] = [
  ["half of a pair", `${Q0}.lora_B.weight`, "module model.layers.0.self_attn.q_proj lacks lora_B"],
  [
    "lengths of rows without use_dora",
    `${Q0}.lora_magnitude_vector`,
    "q_proj has lora_magnitude_vector [1, 3], expected none, as use_dora is false",
  ],
  [
    "factors of an embedding",
    "base_model.model.model.embed_tokens.lora_embedding_A",
    'adapter_config.json: found target_modules ["q_proj","down_proj"] with factors of model.embed_tokens, expected none',
  ],
  [
    "factors of the head",
    "base_model.model.lm_head.lora_A.weight",
    'found target_modules ["q_proj","down_proj"] with factors of lm_head, expected none of embeddings and head',
  ],
  [
    "a rank other than the configured",
    `${Q0}.lora_A.weight`,
    "has lora_A [1, 3], expected [3, in] for its rank",
  ],
];
for (const [what, tensor, says] of BROKEN) {
  Deno.test(`readPeftAdapter() refuses ${what}`, () =>
    inFolder(async (folder) => {
      await writePeftAdapter(folder, sample());
      const tensors = new Map<string, HostTensor>(
        [...sample().factors].flatMap(([path, { a, b }]) => [
          [`base_model.model.${path}.lora_A.weight`, a] as [string, HostTensor],
          [`base_model.model.${path}.lora_B.weight`, b] as [string, HostTensor],
        ]),
      );
      if (what === "half of a pair") tensors.delete(tensor);
      else tensors.set(tensor, hostTensor([1, 3], [1, 2, 3]));
      await writeSafetensors(`${folder}/adapter_model.safetensors`, tensors);
      await assertRejects(() => readPeftAdapter(folder), RangeError, says);
    }));
}

Deno.test("readPeftAdapter() names what is missing in the folder", () =>
  inFolder(async (folder) => {
    await assertRejects(() => readPeftAdapter(folder), Deno.errors.NotFound, "adapter_config.json");
    await writePeftAdapter(folder, sample());
    await Deno.remove(`${folder}/adapter_model.safetensors`);
    await assertRejects(() => readPeftAdapter(folder), Deno.errors.NotFound, "adapter_model.safetensors");
    await Deno.writeTextFile(`${folder}/adapter_model.bin`, "");
    await assertRejects(
      () => readPeftAdapter(folder),
      Deno.errors.NotFound,
      `.bin, Python's pickle, which is not read, expected safetensors: convert with Python (AutoPeftModelForCausalLM.`,
    );
  }));

Deno.test("writePeftAdapter() refuses factors that do not fit, and writes nothing", () =>
  inFolder(async (folder) => {
    const write = (config: PeftConfig) => writePeftAdapter(`${folder}/a`, { ...sample(), config });
    await assertRejects(() => write({ ...CONFIG, rank: 4 }), RangeError, "expected [4, in] for its rank");
    await assertRejects(
      () => write({ ...CONFIG, targetModules: ["q_proj"] }),
      RangeError,
      "down_proj is none of its",
    );
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 0);
  }));

/** s · B A in float64, with Σ|terms| of each entry. */
function delta(adapter: PeftAdapter, path: string): { value: Float64Array; magnitude: Float64Array } {
  const { a, b } = adapter.factors.get(path)!;
  const [out, rank, width] = [b.shape[0], a.shape[0], a.shape[1]];
  const [A, B] = [toFloat32(a), toFloat32(b)];
  const scale = moduleScale(adapter.config, path);
  const value = new Float64Array(out * width), magnitude = new Float64Array(out * width);
  for (let i = 0; i < out * width; i++) {
    for (let k = 0; k < rank; k++) {
      const term = scale * B[Math.floor(i / width) * rank + k] * A[k * width + i % width];
      value[i] += term;
      magnitude[i] += Math.abs(term);
    }
  }
  return { value, magnitude };
}

async function gunzipJson(url: URL) {
  using file = await Deno.open(url);
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).json();
}

const fixtures = new URL("../parity/fixtures/peft_adapters/", import.meta.url);
for (const name of ["patterns", "rslora"]) {
  Deno.test(`readPeftAdapter() computes the same s B A as PEFT from its own ${name} adapter`, async () => {
    const adapter = await readPeftAdapter(decodeURIComponent(new URL(name, fixtures).pathname));
    const expected = (await gunzipJson(new URL("expected.json.gz", fixtures)))[name];
    assertEquals([...adapter.factors.keys()].sort(), Object.keys(expected).sort());
    for (const path of adapter.factors.keys()) {
      const { value, magnitude } = delta(adapter, path);
      expectClose(expected[path].flat(), value, bound(moduleRank(adapter.config, path) + 1, magnitude), path);
    }
  });
}

const published = referenceData("adapters/opt125m-dpo-lora");
Deno.test({
  name: "readPeftAdapter() reads a published adapter",
  ignore: published.ignore,
  async fn() {
    const { config, factors } = await readPeftAdapter(published.path);
    assertEquals([config.rank, config.alpha, config.targetModules, factors.size], [16, 32, [
      "q_proj",
      "v_proj",
    ], 24]);
    assertEquals(factors.values().next().value!.a.dtype, "bf16");
  },
});

const python = requires("python");
Deno.test({
  name: "writePeftAdapter() folders are read by PEFT with the same factors and scales",
  ignore: python.ignore,
  fn: () =>
    inFolder(async (folder) => {
      const adapter = sample({ ...CONFIG, init: true });
      await writePeftAdapter(`${folder}/adapter`, adapter);
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(modelConfigJson(MODEL, "f32")));
      const script = decodeURIComponent(new URL("../parity/read_peft_adapter.py", import.meta.url).pathname);
      const { success, stdout, stderr } = await new Deno.Command(python.path, {
        args: [script, `${folder}/adapter`, folder],
        env: { HF_HUB_OFFLINE: "1" },
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      const found = JSON.parse(new TextDecoder().decode(stdout));
      assertEquals(found.dropout, 0.25);
      assertEquals(Object.keys(found.modules).sort(), [...adapter.factors.keys()].sort());
      for (const [path, { a, b }] of adapter.factors) {
        assertEquals(Float32Array.from(found.modules[path].a.flat()), toFloat32(a), path);
        assertEquals(Float32Array.from(found.modules[path].b.flat()), toFloat32(b), path);
        assertEquals(found.modules[path].scale, moduleScale(adapter.config, path), path);
      }
    }),
});
