import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { type Adapter, changeOf } from "../../lib/adapters/adapter.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { effectiveRank, spectrum } from "../../lib/adapters/spectrum.ts";
import { Rng } from "../../lib/core/rng.ts";
import { linearModules } from "../../lib/io/weights.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder } from "../helpers/fixtures.ts";

const gpu = await testDevice();
const load = () => loadModel(modelFolder("llama_untied")!, { gpu });

/** Moves every trained number by a normal number of this size. */
async function move(adapter: Adapter, size: number): Promise<void> {
  const rng = new Rng(3, "spectrum");
  for (const name of adapter.parameters.names) {
    const { value } = adapter.parameters.get(name)!;
    gpu.write(value, (await gpu.read(value)).map((x) => x + size * rng.normal()));
  }
}

/** dW by its definition, dense, in float64. */
async function denseChange(adapter: Adapter, module: string): Promise<Float64Array> {
  const double = async (tensor: Parameters<typeof gpu.read>[0]) => Float64Array.from(await gpu.read(tensor));
  const w = adapter.model.weights.get(`${module}.weight`)!;
  const branch = adapter.branch(module);
  if (!branch) {
    const base = await double(w);
    return (await double(adapter.parameters.get(`${module}.weight`)!.value)).map((x, i) => x - base[i]);
  }
  if (branch.magnitude) {
    const base = await double(w);
    using merged = effectiveWeight(gpu, w, changeOf(branch));
    return (await double(merged)).map((x, i) => x - base[i]);
  }
  const [m, n] = w.shape;
  const dims = { m, n, k: branch.a.value.shape[0] };
  const now = matmul(await double(branch.b.value), await double(branch.a.value), dims);
  const { start } = branch;
  const before = start ? matmul(await double(start.b), await double(start.a), dims) : now.map(() => 0);
  return now.map((x, i) => branch.scale * (x - before[i]));
}

const METHODS: AttachOptions[] = [
  { method: "olora", rank: 3, alpha: 6, targets: "all-linear" },
  { method: "olora", rank: 2, freeze: "B" },
  { method: "olora", rank: 2, basis: "rows", balance: 0.5, subtract: false },
  { method: "lora", rank: 4, targets: "all-linear" },
  { method: "rslora", rank: 4, alpha: 3 },
  { method: "dora", rank: 4 },
  { method: "olora", rank: 4, magnitude: true },
  { method: "full" },
];

for (const options of METHODS) {
  Deno.test(`spectrum() of ${JSON.stringify(options)} is that of dW made dense`, async () => {
    using model = await load();
    using adapter = await attach(model, options);
    await move(adapter, 0.05);
    const live = gpu.liveBytes;
    const layers = await spectrum(adapter);
    assertEquals(gpu.liveBytes, live);
    const rank = adapter.config.rank || 8;
    assert(layers.length >= 2);
    for (const { module, norm, relativeNorm, singularValues, effectiveRank: found, overlap } of layers) {
      const w = model.weights.get(`${module}.weight`)!;
      const [m, n] = w.shape;
      const values = Float64Array.from(await gpu.read(w));
      const dense = await denseChange(adapter, module);
      const change = svd(dense, { m, n });
      const base = svd(values, { m, n });
      // Numbers of float32 enter both exactly; what is left is float64 rounding of sums whose terms may cancel.
      const unit = 600 * Number.EPSILON * Math.max(m, n) * base.s[0];
      const branch = adapter.branch(module);
      const most = branch && !branch.magnitude ? (branch.start ? 2 : 1) * rank : Infinity;
      assertEquals(singularValues.length, Math.min(m, n, most));
      expectClose(
        singularValues,
        change.s.subarray(0, singularValues.length),
        unit,
        `${module} singular values`,
      );
      expectClose(
        change.s.subarray(singularValues.length),
        new Float64Array(Math.min(m, n) - singularValues.length),
        unit,
        "the rest",
      );
      assertAlmostEquals(norm, Math.hypot(...dense), unit);
      assertAlmostEquals(relativeNorm, Math.hypot(...dense) / Math.hypot(...values), unit / base.s[0]);
      assertEquals(found, effectiveRank(singularValues));
      // ‖P_W U‖² over k by projectors, which do not depend on signs.
      const inside = (x: Float64Array, y: Float64Array, rows: number, first: number) => {
        const k = Math.min(rank, singularValues.filter((s) => s > unit).length);
        const pick = (z: Float64Array, from: number, count: number) =>
          Float64Array.from(
            { length: rows * count },
            (_, at) => z[Math.floor(at / count) * Math.min(m, n) + from + at % count],
          );
        const cross = matmul(pick(y, first, rank), pick(x, 0, k), { m: rank, n: k, k: rows }, "tn");
        return cross.reduce((sum, value) => sum + value * value, 0) / k;
      };
      const last = Math.min(m, n) - rank;
      // A singular vector is as sure as its gap; normal numbers leave gaps of a hundredth.
      const sure = 1e3 * unit / singularValues[0];
      assertAlmostEquals(overlap!.left.top, inside(change.u, base.u, m, 0), sure);
      assertAlmostEquals(overlap!.left.bottom, inside(change.u, base.u, m, last), sure);
      assertAlmostEquals(overlap!.right.top, inside(change.v, base.v, n, 0), sure);
      assertAlmostEquals(overlap!.right.bottom, inside(change.v, base.v, n, last), sure);
    }
  });
}

Deno.test("spectrum() of an adapter just attached is zero, and says how orthonormal its factors are", async () => {
  using model = await load();
  for (const method of ["olora", "lora", "dora", "full"]) {
    using adapter = await attach(model, { method, rank: 4, targets: ["q_proj", "up_proj"] });
    for (const layer of await spectrum(adapter)) {
      assertEquals([layer.norm, layer.relativeNorm, layer.effectiveRank], [0, 0, 0]);
      assert(layer.singularValues.every((s) => s === 0));
      assert(
        Object.values(layer.overlap!).every(({ top, bottom }) => Number.isNaN(top) && Number.isNaN(bottom)),
      );
      if (method === "full") assertEquals(layer.drift, undefined);
      if (method === "lora") assertEquals(layer.drift!.b, 2);
      if (method === "olora") assert(layer.drift!.b < 160 * EPS && layer.drift!.a > 0.1);
    }
  }
});

Deno.test("spectrum() places a dW made of W's own singular vectors in the space they are from", async () => {
  using model = await load();
  const module = "model.layers.1.mlp.up_proj";
  const [m, n] = model.weights.get(`${module}.weight`)!.shape;
  const { u, v } = svd(await gpu.read(model.weights.get(`${module}.weight`)!), { m, n });
  const [k, r] = [Math.min(m, n), 3];
  using adapter = await attach(model, { method: "lora", rank: r, alpha: 2 * r, targets: ["up_proj"] });
  const branch = adapter.branches.get(module)!;
  for (const [first, name] of [[0, "top"], [k - r, "bottom"]] as const) {
    gpu.write(
      branch.a.value,
      Float32Array.from({ length: r * n }, (_, at) => v[(at % n) * k + first + Math.floor(at / n)]),
    );
    gpu.write(
      branch.b.value,
      Float32Array.from({ length: m * r }, (_, at) => u[Math.floor(at / r) * k + first + at % r]),
    );
    const layer = (await spectrum(adapter)).find((found) => found.module === module)!;
    const unit = EPS * m;
    expectClose(layer.singularValues, [2, 2, 2], 2 * unit, "singular values");
    assertAlmostEquals(layer.effectiveRank, 3, unit);
    assertAlmostEquals(layer.drift!.a, 0, unit);
    assertAlmostEquals(layer.drift!.b, 0, unit);
    for (const { top, bottom } of Object.values(layer.overlap!)) {
      assertAlmostEquals(top, name === "top" ? 1 : 0, unit);
      assertAlmostEquals(bottom, name === "top" ? 0 : 1, unit);
    }
  }
});

Deno.test("spectrum() leaves W's own SVD out where it is told to, and goes layer by layer in the model's order", async () => {
  using model = await load();
  using adapter = await attach(model, { method: "lora", targets: "all-linear", rank: 2 });
  const layers = await spectrum(adapter, { overlap: false });
  assertEquals(layers.map(({ module }) => module), [...linearModules(model.config).keys()]);
  assert(layers.every(({ overlap }) => overlap === undefined));
});

Deno.test("spectrum() refuses a rank that a weight does not have", async () => {
  using model = await load();
  using adapter = await attach(model, { method: "lora", rank: 2 });
  for (const rank of [0, 1.5, NaN, 99]) {
    await assertRejects(
      () => spectrum(adapter, { rank }),
      RangeError,
      `Cannot compute spectrum with rank ${rank}: expected a whole number from 1 to min(out, in) = `,
    );
  }
  gpu.write(adapter.parameters.data, Float32Array.of(NaN));
  await assertRejects(
    () => spectrum(adapter),
    RangeError,
    "Cannot compute the spectrum of model.layers.0.self_attn.q_proj A: entry [0, 0] is NaN",
  );
});

Deno.test("effectiveRank() is the number of equal values, and 4 / 3^(3/4) of 3 and 1", () => {
  assertEquals(effectiveRank([]), 0);
  assertEquals(effectiveRank([0, 0]), 0);
  assertEquals(effectiveRank([7, 0, 0]), 1);
  assertAlmostEquals(effectiveRank([2, 2, 2, 2, 2]), 5, 1e-14);
  assertAlmostEquals(effectiveRank([3, 1]), 4 / 3 ** 0.75, 1e-14);
});
