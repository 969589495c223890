import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import type { PeftFactors } from "../../lib/io/peft_format.ts";
import { linearModules } from "../../lib/io/weights.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { Trainer } from "../../lib/train/train.ts";
import { rowNorms } from "../../lib/reference/magnitude.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, modelFolder } from "../helpers/fixtures.ts";

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_untied")!, { gpu: await testDevice() });
}

const METHODS: AttachOptions[] = [
  { method: "olora", rank: 4, targets: "all-linear" },
  { method: "olora", rank: 2, alpha: 6, freeze: "A" },
  { method: "olora", rank: 2, freeze: "B", targets: ".*layers\\.1.*up_proj" },
  ...(["last", "permuted", "pivoted", "random", "rows"] as const).map((basis) => (
    { method: "olora", rank: 3, basis, targets: "all-linear" }
  )),
  {
    method: "olora",
    rank: 4,
    targets: "all-linear",
    rankPattern: { "layers.1.*": 2 },
    alphaPattern: { k_proj: 9 },
  },
  { method: "olora", rank: 3, balance: 0.25 },
  { method: "olora", rank: 3, keep: "orthonormal", alpha: 1 },
  { method: "lora", rank: 3, dropout: 0.3 },
  { method: "lora", rank: 3, norm: "olora" },
  { method: "rslora", rank: 3 },
  { method: "lora+", rank: 3 },
  { method: "pissa", rank: 3, alpha: 5, targets: "all-linear" },
  { method: "pissa", rank: 3, iterations: 2 },
  { method: "milora", rank: 3, alpha: 5, targets: "all-linear" },
  { method: "mica", rank: 3, targets: "all-linear" },
  { method: "orthogonal", rank: 4 },
  { method: "lora-fa", rank: 3 },
  { method: "dora", rank: 3, alpha: 5, targets: "all-linear" },
  { method: "dora", rank: 3, dropout: 0.3 },
  { method: "olora", rank: 3, alpha: 5, magnitude: true, targets: "all-linear" },
  { method: "pissa", rank: 3, magnitude: true, dropout: 0.3 },
  { method: "full" },
  { method: "full", targets: ["o_proj"] },
];

for (const options of METHODS) {
  Deno.test(`attach() with ${JSON.stringify(options)} starts at the base, and detach() gives it back bit for bit`, async () => {
    using model = await load();
    const { ids } = await expected("llama_untied");
    const base = await score(model, ids);
    using adapter = await attach(model, options);
    const start = await score(model, ids);
    if (options.method === "orthogonal") {
      start.forEach((row, i) => row.forEach((nats, t) => assertAlmostEquals(nats, base[i][t], 1e-5)));
    } else assertEquals(start, base);
    const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
    {
      using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
        steps: 3,
        learningRate: 1e-2,
      });
      await Array.fromAsync(trainer.run());
    }
    const trained = await score(model, ids);
    assert(trained.some((row, i) => row.some((nats, t) => nats !== start[i][t])));
    assertEquals(await score(model, ids, { changes: null }), base);
    adapter.detach();
    assertEquals(await score(model, ids), base);
    adapter.reattach();
    assertEquals(await score(model, ids), trained);
  });
}

Deno.test("attach() counts r (m + n) parameters for each layer, r n with B frozen, r m with A frozen", async () => {
  using model = await load();
  const shapes = [...linearModules(model.config).values()];
  for (
    const [freeze, count] of [
      [undefined, (m: number, n: number) => m + n],
      ["B", (_m: number, n: number) => n],
      ["A", (m: number) => m],
    ] as const
  ) {
    using adapter = await attach(model, {
      method: "olora",
      rank: 3,
      targets: "all-linear",
      ...(freeze && { freeze }),
    });
    assertEquals(adapter.trainable, 3 * shapes.reduce((sum, { out, in: n }) => sum + count(out, n), 0));
  }
});

for (const options of [{ method: "dora" }, { method: "olora", magnitude: true }] as const) {
  Deno.test(`attach() of ${JSON.stringify(options)} changes no bit of the output, and counts r (m + n) + m parameters for each layer`, async () => {
    using model = await load();
    const { ids } = await expected("llama_untied");
    const base = await score(model, ids);
    using adapter = await attach(model, { ...options, rank: 3, targets: "all-linear" });
    assertEquals(await score(model, ids), base);
    const shapes = [...linearModules(model.config).values()];
    assertEquals(adapter.trainable, shapes.reduce((sum, { out, in: n }) => sum + 3 * (out + n) + out, 0));
  });
}

Deno.test("attach() of dora takes factors that are given, with lengths of their own or without, and lora takes none", async () => {
  using model = await load();
  const { gpu } = model;
  const module = "model.layers.0.self_attn.q_proj";
  const weight = model.weights.get(`${module}.weight`)!;
  const [out, width] = weight.shape;
  const a = hostTensor([1, width], Array(width).fill(0.5));
  const b = hostTensor([out, 1], Array(out).fill(0.25));
  const magnitude = hostTensor([out], Array.from({ length: out }, (_, i) => i));
  const options = { method: "dora", rank: 1, targets: ".*0.self_attn.q_proj" };
  const lengths = async (factors: PeftFactors) => {
    using adapter = await attach(model, { ...options, init: new Map([[module, factors]]) });
    return await gpu.read(adapter.branches.get(module)!.magnitude!.value);
  };
  assertEquals(await lengths({ a, b, magnitude }), toFloat32(magnitude));
  const merged = Float64Array.from(await gpu.read(weight), (w) => w + 0.125);
  const norms = rowNorms(merged, { d: out, k: width });
  expectClose(await lengths({ a, b }), norms, bound(width, norms, 2.5 * EPS), "norms of W + s B A");
  await assertRejects(
    () => attach(model, { ...options, method: "lora", init: new Map([[module, { a, b, magnitude }]]) }),
    RangeError,
    `Cannot start ${module}: found a magnitude, expected none for method lora; it is dora's, or an option`,
  );
  const short = hostTensor([1], [1]);
  await assertRejects(
    () => attach(model, { ...options, init: new Map([[module, { a, b, magnitude: short }]]) }),
    RangeError,
    `Cannot start ${module}: found magnitude [1], expected [${out}]`,
  );
});

Deno.test("attach() refuses what cannot be, before anything is allocated", async () => {
  using model = await load();
  const { liveBytes } = model.gpu;
  const refusals: [AttachOptions, string][] = [
    [
      { rank: 96, targets: "all-linear" },
      "Cannot attach adapter with rank 96: expected rank <= min(out, in) =",
    ],
    [{ rank: 0 }, "rank 0: expected a whole number >= 1"],
    [{ rank: 1.5 }, "rank 1.5"],
    [{ alpha: NaN }, "alpha NaN"],
    [
      { method: "olara" },
      'Cannot use method "olara": expected one of olora, lora, rslora, lora+, lora-fa, orthogonal, pissa, milora, mica, lora-ga, eva, dora, mora, remora, flora, adalora, lora2, alora, full',
    ],
    [{ targets: ["q_proj", "r_proj"] }, 'Cannot adapt "r_proj": no layer of that name'],
    [{ targets: "lm_head" }, 'Cannot adapt "lm_head"'],
    [{ dropout: 1 }, "dropout 1: expected 0 <= dropout < 1"],
    [{ seed: -1 }, "seed -1"],
    [{ method: "lora", freeze: "B" }, 'freeze "B"'],
    [{ method: "full", freeze: "A" }, 'freeze "A"'],
    [{ method: "full", dropout: 0.5 }, "dropout 0.5"],
    [
      { rankPattern: { k_proj: 2, proj_q: 2 } },
      'Cannot attach adapter with rankPattern "proj_q": no layer of that name, expected some of q_proj',
    ],
    [{ method: "mora", rankPattern: { "layers.9.*": 2 } }, 'rankPattern "layers.9.*": no layer of that name'],
    [{ alphaPattern: { "layers.9.*": 2 } }, 'alphaPattern "layers.9.*": no layer of that name'],
    [
      { alphaPattern: { "(": 2 } },
      'Cannot attach adapter with alphaPattern: found "(", expected a regular expression',
    ],
    [{ method: "loftq" }, "expected attachQuantized("],
    // What is wrong is found with a second group of layers, when the first has its start.
    [{ method: "orthogonal", rank: 8, rankPattern: { v_proj: 3 } }, "Cannot start orthogonal with rank 3"],
  ];
  for (const [options, message] of refusals) {
    await assertRejects(() => attach(model, options), RangeError, message);
    assertEquals(model.gpu.liveBytes, liveBytes);
    assertEquals(model.changes, undefined);
  }
});

Deno.test("attach() names the layer whose weight is not finite, and frees what it made", async () => {
  using model = await load();
  const { gpu } = model;
  const name = "model.layers.1.self_attn.v_proj";
  const weight = model.weights.get(`${name}.weight`)!;
  const values = await gpu.read(weight);
  values[5] = NaN;
  gpu.write(weight, values);
  const { liveBytes } = gpu;
  const refusals = {
    olora: `Cannot factor ${name}`,
    lora: `Cannot adapt ${name}`,
    full: `Cannot train ${name}`,
  };
  for (const [method, message] of Object.entries(refusals)) {
    await assertRejects(() => attach(model, { method, rank: 2 }), RangeError, message);
    assertEquals(gpu.liveBytes, liveBytes);
  }
  await assertRejects(() => attach(model, { rank: 2, rankPattern: { "layers.1.*": 3 } }), RangeError, name);
  assertEquals(gpu.liveBytes, liveBytes);
});

Deno.test("attach() of lora+ trains a bias of B that is given, at B's rate, and frees all that it made", async () => {
  using model = await load();
  const { gpu } = model;
  const { liveBytes } = gpu;
  const module = "model.layers.0.self_attn.q_proj";
  const [out, width] = model.weights.get(`${module}.weight`)!.shape;
  const bias = hostTensor([out], Array.from({ length: out }, (_, i) => i / 8));
  const factors = {
    a: hostTensor([1, width], Array(width).fill(0.5)),
    b: hostTensor([out, 1], Array(out).fill(0)),
  };
  const rates = async (method: string) => {
    const init = new Map([[module, { ...factors, bias }]]);
    using adapter = await attach(model, { method, rank: 1, targets: [module], init });
    assertEquals(await gpu.read(adapter.branches.get(module)!.bias!.value), toFloat32(bias));
    assertEquals(adapter.trainable, width + 2 * out);
    return adapter.parameters.stretches.map(({ rate }) => rate);
  };
  assertEquals([await rates("lora"), await rates("lora+")], [[1], [1, 16]]);
  assertEquals(gpu.liveBytes, liveBytes);
});

Deno.test("attach() starts lora the same whichever layers are adapted, and differently for another seed", async () => {
  using model = await load();
  const read = async (targets: string[], seed: number) => {
    using adapter = await attach(model, { method: "lora", rank: 2, targets, seed });
    return await model.gpu.read(adapter.parameters.get("model.layers.1.self_attn.v_proj.a")!.value);
  };
  const alone = await read(["v_proj"], 1);
  assertEquals(await read(["q_proj", "v_proj"], 1), alone);
  assert((await read(["v_proj"], 2)).some((value, i) => value !== alone[i]));
  const limit = 1 / Math.sqrt(model.config.width);
  assert(alone.every((value) => Math.abs(value) <= limit));
});
