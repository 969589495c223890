import { assert, assertEquals } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import type { Basis } from "../../lib/adapters/options.ts";
import { Rng } from "../../lib/core/rng.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { columnPivots } from "../../lib/linalg/pivots.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { oloraRowStart, oloraStart } from "../../lib/reference/olora.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { Trainer } from "../../lib/train/train.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, modelFolder } from "../helpers/fixtures.ts";

const RANK = 4;
const SEED = 5;

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_untied")!, { gpu: await testDevice() });
}

function options(more: AttachOptions): AttachOptions {
  return { method: "olora", rank: RANK, alpha: 3, targets: "all-linear", seed: SEED, ...more };
}

async function read(adapter: Adapter, module: string) {
  const { a, b } = adapter.branches.get(module)!;
  const { gpu } = adapter.model;
  return {
    a: Float64Array.from(await gpu.read(a.value)),
    b: Float64Array.from(await gpu.read(b.value)),
  };
}

async function weight(model: Model, module: string) {
  const w = model.weights.get(`${module}.weight`)!;
  const [m, n] = w.shape;
  return { w: Float64Array.from(await model.gpu.read(w)), m, n };
}

/** Largest entry of |XᵀX − I| for X `[m, r]`. */
function drift(x: Float64Array, m: number, r: number): number {
  const gram = matmul(x, x, { m: r, n: r, k: m }, "tn");
  return Math.max(...gram.map((value, at) => Math.abs(value - Number(at % (r + 1) === 0))));
}

async function train(adapter: Adapter, steps: number, learningRate = 1e-2): Promise<void> {
  const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
  const order = batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
  using trainer = new Trainer(adapter, order, { steps, learningRate });
  await Array.fromAsync(trainer.run());
}

function columnsOf(basis: Basis, module: string, w: Float64Array, m: number, n: number): number[] {
  const all = Array.from({ length: n }, (_, i) => i);
  if (basis === "last") return all.slice(n - RANK);
  if (basis === "pivoted") return columnPivots(w, [m, n], RANK);
  if (basis === "permuted") return new Rng(SEED, `olora ${module}`).shuffle(all).slice(0, RANK);
  return all.slice(0, RANK);
}

for (const basis of ["first", "last", "permuted", "pivoted", "rows"] as const) {
  for (const balance of [1, 3]) {
    Deno.test(`olora with basis ${basis} and balance ${balance} starts where its float64 twin does`, async () => {
      using model = await load();
      using adapter = await attach(model, options({ basis, balance }));
      for (const module of adapter.branches.keys()) {
        const { w, m, n } = await weight(model, module);
        const { a, b } = await read(adapter, module);
        const twin = basis === "rows"
          ? oloraRowStart(w, { m, n }, RANK, balance)
          : oloraStart(w, { m, n }, columnsOf(basis, module, w, m, n), balance);
        const size = Math.sqrt(w.reduce((sum, x) => sum + x * x, 0));
        const [aSize, bSize] = basis === "rows" ? [1, size] : [size, 1];
        expectClose(a, twin.a, 60 * EPS * Math.max(m, n) * aSize / balance, `${module} A`);
        expectClose(b, twin.b, 60 * EPS * Math.max(m, n) * bSize * balance, `${module} B`);
      }
    });
  }
}

Deno.test("olora with basis random has an orthonormal B of its seed and A = BᵀW", async () => {
  using model = await load();
  const module = "model.layers.0.mlp.up_proj";
  const { w, m, n } = await weight(model, module);
  const start = async (seed: number) => {
    using adapter = await attach(model, options({ basis: "random", seed }));
    return await read(adapter, module);
  };
  const { a, b } = await start(1);
  assert(drift(b, m, RANK) <= 10 * EPS * m);
  const magnitude = matmul(b.map(Math.abs), w.map(Math.abs), { m: RANK, n, k: m }, "tn");
  expectClose(a, matmul(b, w, { m: RANK, n, k: m }, "tn"), bound(m, magnitude), "A");
  assertEquals((await start(1)).b, b);
  assert((await start(2)).b.some((value, i) => value !== b[i]));
});

Deno.test("olora without subtraction computes W + s B₀A₀, what lora computes from those factors", async () => {
  using model = await load();
  const { ids } = await expected("llama_untied");
  const base = await score(model, ids);
  using adapter = await attach(model, options({ subtract: false }));
  const shifted = await score(model, ids);
  assert(shifted.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-2)));
  const factors = new Map();
  for (const module of adapter.branches.keys()) {
    const { w, m, n } = await weight(model, module);
    const { a, b } = await read(adapter, module);
    const product = matmul(b, a, { m, n, k: RANK }).map((x, at) => w[at] + 0.75 * x);
    const merged = Float32Array.from(product);
    factors.set(`${module}.weight`, model.gpu.upload(merged, [m, n]));
  }
  using other = await load();
  for (const [name, tensor] of factors) other.gpu.copy(tensor, other.weights.get(name)!);
  const merged = await score(other, ids);
  shifted.forEach((row, i) => expectClose(row, merged[i], 1e-5, `row ${i}`));
  for (const tensor of factors.values()) tensor.dispose();
});

Deno.test("olora with keep orthonormal holds BᵀB = I while it trains, where plain olora drifts", async () => {
  using model = await load();
  const worst = async (more: AttachOptions) => {
    using adapter = await attach(model, options(more));
    await train(adapter, 4);
    let largest = 0;
    for (const module of adapter.branches.keys()) {
      const { m } = await weight(model, module);
      largest = Math.max(largest, drift((await read(adapter, module)).b, m, RANK) / (10 * EPS * m));
    }
    return largest;
  };
  assert(await worst({ keep: "orthonormal" }) <= 1);
  assert(await worst({}) > 100);
});

Deno.test("lora with the norm of olora starts at its Frobenius norm, layer by layer, with B zero", async () => {
  using model = await load();
  const norm = (x: Float64Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const sizes = new Map<string, number>();
  {
    using olora = await attach(model, options({}));
    for (const module of olora.branches.keys()) sizes.set(module, norm((await read(olora, module)).a));
  }
  using lora = await attach(model, options({ method: "lora", norm: "olora" }));
  for (const [module, size] of sizes) {
    const { a, b } = await read(lora, module);
    expectClose([norm(a)], [size], EPS * Math.sqrt(a.length) * size, module);
    assert(b.every((value) => value === 0));
  }
});

Deno.test("lora+ moves B by its ratio in the first step, and A not at all while B is zero", async () => {
  using model = await load();
  using adapter = await attach(model, options({ method: "lora+", ratio: 8 }));
  const module = "model.layers.1.self_attn.q_proj";
  const before = await read(adapter, module);
  await train(adapter, 1, 1e-3);
  const after = await read(adapter, module);
  assertEquals(after.a, before.a);
  // Adam's first step is the rate times g / (|g| + 1e-8), a little less than the rate for small gradients.
  const largest = Math.max(...after.b.map(Math.abs));
  assert(largest > 0.99 * 8e-3 && largest <= 8e-3 * (1 + 4 * EPS), `${largest}`);
});
