import { assert, assertAlmostEquals, assertEquals, assertLess, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { readPeftAdapter } from "../../lib/io/peft.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { orthogonalStart, tripletStart } from "../../lib/reference/starts.ts";
import { Trainer } from "../../lib/train/train.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, fixturePath, modelFolder } from "../helpers/fixtures.ts";

const RANK = 4;

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_tied")!, { gpu: await testDevice() });
}

function started(model: Model, options: AttachOptions): Promise<Adapter> {
  return attach(model, { rank: RANK, alpha: RANK, targets: "all-linear", seed: 3, ...options });
}

interface Layer {
  module: string;
  m: number;
  n: number;
  w: Float64Array;
  a: Float64Array;
  b: Float64Array;
}

/** The layers of an adapter with their factors as they are now. */
async function layers({ model, branches }: Adapter): Promise<Layer[]> {
  const read = async (tensor: Parameters<typeof model.gpu.read>[0]) =>
    Float64Array.from(await model.gpu.read(tensor));
  return await Promise.all([...branches].map(async ([module, { a, b }]) => {
    const w = model.weights.get(`${module}.weight`)!;
    const [m, n] = w.shape;
    return { module, m, n, w: await read(w), a: await read(a.value), b: await read(b.value) };
  }));
}

const product = ({ m, n }: Layer, a: Float64Array, b: Float64Array) => matmul(b, a, { m, n, k: RANK });

async function train(adapter: Adapter): Promise<void> {
  const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
  using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
    steps: 3,
    learningRate: 1e-2,
  });
  await Array.fromAsync(trainer.run());
}

for (const method of ["milora", "pissa"]) {
  Deno.test(`${method} starts from the product that PyTorch's decomposition gives`, async () => {
    using model = await load();
    using adapter = await started(model, { method });
    const { factors } = await readPeftAdapter(fixturePath(`llama_tied/init/${method}`));
    for (const layer of await layers(adapter)) {
      const found = factors.get(layer.module)!;
      const [a, b] = [found.a, found.b].map((factor) => Float64Array.from(toFloat32(factor)));
      const size = product(layer, a.map(Math.abs), b.map(Math.abs));
      expectClose(
        product(layer, layer.a, layer.b),
        product(layer, a, b),
        bound(2 * RANK, size),
        layer.module,
      );
    }
  });
}

Deno.test("mica starts with PEFT's space for B and with A at zero, and trains A alone: r n numbers a layer", async () => {
  using model = await load();
  using adapter = await started(model, { method: "mica" });
  const { factors } = await readPeftAdapter(fixturePath("llama_tied/init/mica"));
  const before = await layers(adapter);
  for (const { module, m, a, b } of before) {
    assertEquals(a.some((value) => value !== 0), false);
    const theirs = Float64Array.from(toFloat32(factors.get(module)!.b));
    const projector = (b: Float64Array) => matmul(b, b, { m, n: m, k: RANK }, "nt");
    expectClose(projector(b), projector(theirs), bound(2 * RANK, projector(b.map(Math.abs))), module);
  }
  assertEquals(adapter.trainable, before.reduce((sum, { n }) => sum + RANK * n, 0));
  await train(adapter);
  const after = await layers(adapter);
  assertEquals(after.map(({ b }) => b), before.map(({ b }) => b));
  assert(after.some(({ a }) => a.some((value) => value !== 0)));
});

Deno.test("pissa, milora and mica start from the twin's factors of W's own decomposition, rounded once, whatever s", async () => {
  using model = await load();
  for (const method of ["pissa", "milora", "mica"]) {
    using adapter = await started(model, { method, alpha: 3 });
    for (const { module, m, n, w, a, b } of await layers(adapter)) {
      const found = svd(w, { m, n });
      const first = method === "pissa" ? 0 : found.s.length - RANK;
      const twin = tripletStart(found, { first, r: RANK, scale: 3 / RANK });
      const ones = { ...found, s: found.s.map(() => 3 / RANK) };
      const [ofA, ofB] = method === "mica"
        ? [a.map(() => 0), tripletStart(ones, { first, r: RANK, scale: 3 / RANK }).b]
        : [twin.a, twin.b];
      expectClose(a, ofA, bound(1, ofA), `${method}, A of ${module}`);
      expectClose(b, ofB, bound(1, ofB), `${method}, B of ${module}`);
    }
  }
});

Deno.test("orthogonal starts from the twin's factors of the same draws", async () => {
  using model = await load();
  using adapter = await started(model, { method: "orthogonal" });
  for (const { module, m, n, a, b } of await layers(adapter)) {
    const rng = new Rng(3, `orthogonal ${module}`);
    const normals = (length: number) => Float64Array.from({ length }, () => Math.fround(rng.normal()));
    const half = RANK / 2;
    const random = normals(RANK * RANK);
    const draws = { random, x: normals(half * n), y: normals(m * half) };
    const twin = orthogonalStart(draws, { m, n, r: RANK });
    // Q is off by the rounding of its QR times the condition of the matrix that is drawn.
    const { s } = svd(random, { m: RANK, n: RANK });
    const q = 10 * RANK * EPS * s[0] / s[RANK - 1];
    const sums = (x: Float64Array) => Math.hypot(...x) / 10 * (q + EPS * half);
    expectClose(a, twin.a, sums(draws.x), `A of ${module}`);
    expectClose(b, twin.b, sums(draws.y), `B of ${module}`);
  }
});

Deno.test("lora-fa starts as lora does and trains B alone: r m numbers a layer", async () => {
  using model = await load();
  const start = await (async () => {
    using lora = await started(model, { method: "lora" });
    return await layers(lora);
  })();
  using adapter = await started(model, { method: "lora-fa" });
  assertEquals(await layers(adapter), start);
  assertEquals(adapter.trainable, start.reduce((sum, { m }) => sum + RANK * m, 0));
  await train(adapter);
  const after = await layers(adapter);
  assertEquals(after.map(({ a }) => a), start.map(({ a }) => a));
  assert(after.some(({ b }) => b.some((value) => value !== 0)));
});

Deno.test("orthogonal starts with two factors whose product is zero, and refuses an odd rank", async () => {
  using model = await load();
  using adapter = await started(model, { method: "orthogonal" });
  for (const layer of await layers(adapter)) {
    const { module, m, n, a, b } = layer;
    assert([a, b].every((factor) => factor.every((value) => value !== 0)));
    // Q's rows are orthogonal to 10 · eps · r, and each factor's rounding adds to that.
    const size = product(layer, a.map(Math.abs), b.map(Math.abs)).map((value) => 10 * RANK * EPS * value);
    expectClose(product(layer, a, b), new Float64Array(m * n), size, module);
  }
  await assertRejects(
    () => started(model, { method: "orthogonal", rank: 3 }),
    RangeError,
    "Cannot start orthogonal with rank 3: expected an even number",
  );
});

Deno.test("pissa by iterations projects W on a space of r dimensions, and comes to that of the largest triplets", async () => {
  using model = await load();
  const misses: number[] = [];
  for (const iterations of [0, 1, 30]) {
    using adapter = await started(model, { method: "pissa", iterations, targets: ["q_proj"] });
    const [layer] = await layers(adapter);
    const { w, m, n, b } = layer;
    const left = w.map((value, at) => value - product(layer, layer.a, b)[at]);
    const size = matmul(b.map(Math.abs), w.map(Math.abs), { m: RANK, n, k: m }, "tn");
    expectClose(
      matmul(b, left, { m: RANK, n, k: m }, "tn"),
      new Float64Array(RANK * n),
      size.map((value) => 10 * EPS * Math.max(m, n) * value),
      `Bᵀ (W − B A) after ${iterations}`,
    );
    const { s } = svd(w, { m, n });
    const optimum = Math.hypot(...s.slice(RANK));
    misses.push(Math.hypot(...left) / optimum - 1);
  }
  assert(misses[0] > misses[1] && misses[1] > misses[2]);
  assertAlmostEquals(misses[2], 0, 1e-3);
});

Deno.test("olora with B frozen is plain LoRA with B = Q frozen and A = 0, step for step; weight decay pulls them apart", async () => {
  using model = await load();
  const losses = async (adapter: Adapter, weightDecay: number) => {
    const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
    using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
      ...{ steps: 20, learningRate: 1e-3, weightDecay },
    });
    return (await Array.fromAsync(trainer.run())).flat().map(({ loss }) => loss);
  };
  for (const weightDecay of [0, 1]) {
    const init = new Map<string, { a: HostTensor; b: HostTensor }>();
    const frozen = await (async () => {
      using adapter = await started(model, { method: "olora", freeze: "B" });
      for (const { module, m, n, b } of await layers(adapter)) {
        init.set(module, {
          a: hostTensor([RANK, n], new Float32Array(RANK * n)),
          b: hostTensor([m, RANK], Float32Array.from(b)),
        });
      }
      return await losses(adapter, weightDecay);
    })();
    using plain = await started(model, { method: "mica", init });
    const apart = (await losses(plain, weightDecay)).map((loss, i) => Math.abs(loss - frozen[i]));
    // Two sums of the same terms, rounded differently at each of twenty steps, and losses of about 5 nats.
    if (weightDecay === 0) assertLess(Math.max(...apart), 20 * 5 * EPS);
    else assert(apart[19] > 1e-4, `${apart}`);
  }
});
