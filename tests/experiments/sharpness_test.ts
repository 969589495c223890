import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach } from "../../lib/adapters/attach.ts";
import { Rng } from "../../lib/core/rng.ts";
import { sharpness } from "../../lib/experiments/sharpness.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { type Adapters, decoder, decoderBackward } from "../../lib/reference/decoder.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder, referenceModel } from "../helpers/fixtures.ts";
import { referenceAdapters } from "../helpers/reference_adapter.ts";

const gpu = await testDevice();
const model = await loadModel(modelFolder("llama_untied")!, { gpu });
const reference = await referenceModel(modelFolder("llama_untied")!);
const TARGETS = ".*layers\\.1.*(q|v)_proj";

const [B, T] = [2, 6];
const data = [1, 2, 3].map((seed) => {
  const rng = new Rng(seed, "sharpness");
  const ids = Uint32Array.from({ length: B * T }, () => rng.below(reference.config.v));
  const targets = Int32Array.from(ids, (_, i) => i % T === T - 1 ? -1 : ids[i + 1]);
  return { shape: [B, T] as const, ids, targets, count: B * (T - 1) };
});

/** All trained numbers of an adapter, and gradients there of the mean loss over `batches`, in float64. */
async function problem(adapter: Adapter) {
  const start = await referenceAdapters(adapter);
  const factors = (adapters: Adapters) =>
    adapter.parameters.names.map((name) => {
      const [, module, factor] = name.match(/^(.*)\.([ab])$/)!;
      return { module, factor: factor as "a" | "b", values: adapters[module][factor as "a" | "b"] };
    });
  const point = Float64Array.from(factors(start).flatMap(({ values }) => [...values]));
  const gradient = (theta: Float64Array, batches: typeof data) => {
    const adapters: Adapters = Object.fromEntries(
      Object.entries(start).map(([module, x]) => [module, { ...x }]),
    );
    let at = 0;
    for (const { module, factor, values } of factors(start)) {
      adapters[module][factor] = theta.slice(at, at += values.length);
    }
    const sum = new Float64Array(theta.length);
    for (const { ids } of batches) {
      const batch = { b: B, t: T, ids: Int32Array.from(ids) };
      const { weights, config } = reference;
      const all = decoderBackward(
        weights,
        config,
        batch,
        decoder(weights, config, batch, adapters),
        adapters,
      );
      const own = factors(start).flatMap((
        { module, factor },
      ) => [...all[`${module}.lora_${factor.toUpperCase()}`]]);
      own.forEach((g, i) => sum[i] += g / batches.length);
    }
    return sum;
  };
  return { point, gradient };
}

/** The Hessian column by column from central differences of float64 gradients, made symmetric. */
function denseHessian(point: Float64Array, gradient: (theta: Float64Array) => Float64Array): Float64Array {
  const n = point.length;
  const h = new Float64Array(n * n);
  // The best step of central differences is the cube root of the rounding.
  const step = Math.cbrt(Number.EPSILON);
  for (let j = 0; j < n; j++) {
    const moved = (by: number) => gradient(point.map((x, i) => i === j ? x + by : x));
    const [ahead, behind] = [moved(step), moved(-step)];
    for (let i = 0; i < n; i++) h[i * n + j] = (ahead[i] - behind[i]) / (2 * step);
  }
  return h.map((x, at) => (x + h[(at % n) * n + Math.floor(at / n)]) / 2);
}

/** The largest and the smallest eigenvalue: singular values, once shifted past all that are negative. */
function extremes(h: Float64Array, n: number): [largest: number, smallest: number] {
  const size = Math.hypot(...h);
  const shifted = (sign: number) => h.map((x, at) => sign * x + (at % (n + 1) === 0 ? size : 0));
  return [svd(shifted(1), { m: n, n }).s[0] - size, size - svd(shifted(-1), { m: n, n }).s[0]];
}

/** Sure to this share of itself by its docstring. */
const TOLERANCE = 1e-3;

for (const method of ["olora", "lora"]) {
  Deno.test(`sharpness() of ${method} is the largest eigenvalue of its dense Hessian in float64`, async () => {
    using adapter = await attach(model, { method, rank: 1, targets: TARGETS });
    const { point, gradient } = await problem(adapter);
    const n = point.length;
    assertEquals(n, adapter.trainable);
    const h = denseHessian(point, (theta) => gradient(theta, data));
    const [largest, smallest] = extremes(h, n);
    assert(largest > 0 && smallest < 0);
    const found = await sharpness(adapter, data);
    expectClose([found.value], [largest], TOLERANCE * largest, "largest eigenvalue");
    assert(found.residual <= TOLERANCE && found.iterations <= 60, JSON.stringify(found));
    assertEquals(found.parameters, n);

    const squares = new Float64Array(n);
    for (const batch of data) gradient(point, [batch]).forEach((g, i) => squares[i] += g * g / data.length);
    const roots = squares.map((square) => square && 1 / Math.sqrt(Math.sqrt(square) + 1e-8));
    const scaled = h.map((x, at) => x * roots[at % n] * roots[Math.floor(at / n)]);
    const adam = await sharpness(adapter, data, { preconditioner: "adam" });
    const [expected] = extremes(scaled, n);
    expectClose([adam.value], [expected], TOLERANCE * expected, "of the preconditioned Hessian");
    // A of lora has no gradient while B is 0.
    assertEquals(adam.parameters, roots.filter((root) => root > 0).length);
    assertEquals(adam.parameters < n, method === "lora");
  });
}

Deno.test("sharpness() leaves parameters bit for bit, gradients zero, memory free and the model as it was", async () => {
  using adapter = await attach(model, { method: "olora", rank: 2, dropout: 0.5, targets: TARGETS });
  adapter.detach();
  const before = await gpu.read(adapter.parameters.data);
  const live = gpu.liveBytes;
  const found = [];
  for (const preconditioner of ["none", "none", "adam"] as const) {
    found.push(await sharpness(adapter, data, { preconditioner, tolerance: 0.1 }));
    assertEquals(await gpu.read(adapter.parameters.data), before);
    assert((await gpu.read(adapter.parameters.gradient)).every((g) => g === 0));
    assertEquals(gpu.liveBytes, live);
    assertEquals(model.changes, undefined);
  }
  assertEquals(found[0], found[1], "the same each time");
  assert(found[2].value !== found[0].value);
  const other = await sharpness(adapter, data, { seed: 1, tolerance: 1e-3 });
  const same = await sharpness(adapter, data, { tolerance: 1e-3 });
  assert(other.value !== same.value);
  expectClose([other.value], [same.value], 2 * TOLERANCE * same.value, "from another start");
});

Deno.test("sharpness() weighs tokens, not batches, and passes batches by that predict nothing", async () => {
  using adapter = await attach(model, { method: "olora", rank: 1, targets: TARGETS });
  const ids = Uint32Array.from(data.slice(0, 2).flatMap(({ ids }) => [...ids]));
  const targets = Int32Array.from(data.slice(0, 2).flatMap(({ targets }) => [...targets]));
  const joined = { shape: [2 * B, T] as const, ids, targets, count: 2 * B * (T - 1) };
  const rows = [0, 1, 2, 3].map((row) => ({
    shape: [1, T] as const,
    ids: ids.slice(row * T, (row + 1) * T),
    targets: targets.slice(row * T, (row + 1) * T),
    count: T - 1,
  }));
  const blank = { ...data[2], targets: new Int32Array(B * T).fill(-1), count: 0 };
  const [whole, parts] = [
    await sharpness(adapter, [joined]),
    await sharpness(adapter, [rows[0], blank, { ...data[1] }, rows[1]]),
  ];
  expectClose([parts.value], [whole.value], 2 * TOLERANCE * whole.value, "in parts");
  const adam = await sharpness(adapter, rows, { preconditioner: "adam" });
  const padded = await sharpness(adapter, [...rows, blank], { preconditioner: "adam" });
  expectClose([padded.value], [adam.value], 2 * TOLERANCE * adam.value, "with a batch that predicts nothing");
});

Deno.test("sharpness() of full fine-tuning is over all weights", async () => {
  using adapter = await attach(model, { method: "full" });
  const { value, parameters, residual } = await sharpness(adapter, data.slice(0, 1));
  assertEquals(parameters, adapter.trainable);
  assert(value > 0 && residual <= TOLERANCE);
});

Deno.test("sharpness() refuses batches without a gradient and options that make no sense, and puts all back", async () => {
  using adapter = await attach(model, { method: "lora", rank: 1, freeze: "A", targets: TARGETS });
  const blank = { ...data[0], targets: new Int32Array(B * T).fill(-1), count: 0 };
  const cases: [() => Promise<unknown>, string][] = [
    [() => sharpness(adapter, []), "these batches: expected at least one predicted token"],
    [() => sharpness(adapter, [blank]), "these batches: expected at least one predicted token"],
    [() => sharpness(adapter, data, { eps: -1 }), "eps -1: expected a number >= 0"],
    [() => sharpness(adapter, data, { iterations: 0 }), "iterations 0: expected a whole number >= 2"],
  ];
  for (const [call, message] of cases) await assertRejects(call, RangeError, message);
  const [name] = adapter.parameters.names;
  gpu.write(adapter.parameters.get(name)!.value, Float32Array.of(NaN));
  const live = gpu.liveBytes;
  await assertRejects(() => sharpness(adapter, data), RangeError, "expected products of finite numbers");
  assertEquals(gpu.liveBytes, live);
  assert(Number.isNaN((await gpu.read(adapter.parameters.data))[0]));
});
