import { assert, assertEquals, assertThrows } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { blockDTypes, isBlockDType } from "../../lib/core/dtype.ts";
import { byteLength, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Batch } from "../../lib/datasets/batches.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { generate } from "../../lib/nn/generate.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { embedding } from "../../lib/ops/embedding.ts";
import { rescaleRows, rowNorms } from "../../lib/ops/magnitude.ts";
import { matmul, type MatmulForm } from "../../lib/ops/matmul.ts";
import { rowRanges } from "../../lib/ops/row_ranges.ts";
import { normInto } from "../../lib/ops/sum.ts";
import { matmul as twin } from "../../lib/reference/matmul.ts";
import { Trainer } from "../../lib/train/train.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { bound, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

/** What `body` makes where the device binds no more than `bytes` at once; anything larger is refused by `Gpu`. */
async function binding<T>(bytes: number, body: (gpu: Gpu) => Promise<T>): Promise<T> {
  const whole = gpu.bindingBytes;
  const set = (value: number) =>
    Object.defineProperty(gpu, "bindingBytes", { value, configurable: true, writable: true });
  set(bytes);
  try {
    return await body(gpu);
  } finally {
    set(whole);
  }
}

Deno.test("rowRanges() covers all rows in ranges that fit and begin at multiples of 256 bytes", async () => {
  using thin = gpu.tensor([1000, 3]);
  using halves = gpu.tensor([1000, 5], "bf16");
  assertEquals(rowRanges(gpu, 1000, [thin]), [{ first: 0, rows: 1000 }]);
  await binding(4096, () => {
    for (const matrices of [[thin], [halves], [thin, halves]]) {
      const ranges = rowRanges(gpu, 1000, matrices);
      assert(ranges.length > 2);
      let next = 0;
      for (const { first, rows } of ranges) {
        assertEquals(first, next);
        for (const { shape: [, d], dtype } of matrices) {
          const width = d * (dtype === "f32" ? 4 : 2);
          assert(first * width % 256 === 0 && rows * width <= 4096);
        }
        next += rows;
      }
      assertEquals(next, 1000);
    }
    return Promise.resolve();
  });
});

const LIMIT = 48 * 1024;

/** Lengths of products, and which matrices are then larger than that. */
const PRODUCTS: [MatmulForm, string, Record<"m" | "n" | "k", number>][] = [
  ["nt", "B", { m: 5, n: 600, k: 70 }],
  ["nt", "A and C", { m: 700, n: 36, k: 20 }],
  ["nt", "all", { m: 300, n: 260, k: 90 }],
  ["nn", "B", { m: 5, n: 70, k: 600 }],
  ["nn", "A", { m: 600, n: 4, k: 67 }],
  ["nn", "all", { m: 260, n: 96, k: 300 }],
  ["tn", "A and B", { m: 20, n: 24, k: 700 }],
  ["tn", "C", { m: 600, n: 70, k: 9 }],
  ["tn", "all", { m: 300, n: 128, k: 260 }],
];

for (const [form, large, { m, n, k }] of PRODUCTS) {
  Deno.test(`matmul() ${form} in parts, where ${large} cannot be bound`, async () => {
    const rng = new Rng(3, `${form} ${large}`);
    const draw = (length: number) => Float32Array.from({ length }, () => rng.normal());
    const [a, b, start] = [draw(m * k), draw(k * n), draw(m * n)];
    using ta = gpu.upload(a, form === "tn" ? [k, m] : [m, k]);
    using tb = gpu.upload(b, form === "nt" ? [n, k] : [k, n]);
    using tc = gpu.upload(start, [m, n]);
    assert([ta, tb, tc].some(({ byteLength }) => byteLength > LIMIT));
    const live = gpu.liveBytes;
    using fresh = await binding(LIMIT, (gpu) => {
      matmul(gpu, form, ta, tb, { into: tc, accumulate: true, scale: -0.75 });
      return Promise.resolve(matmul(gpu, form, ta, tb));
    });
    assertEquals(gpu.liveBytes - live, fresh.slab.bytes);
    const [x, y] = [a, b].map((values) => Float64Array.from(values));
    const size = { m, n, k };
    const expected = twin(x, y, size, form);
    const magnitude = twin(x.map(Math.abs), y.map(Math.abs), size, form);
    expectClose(await gpu.read(fresh), expected, bound(k, magnitude), "C");
    expectClose(
      await gpu.read(tc),
      expected.map((value, i) => start[i] - 0.75 * value),
      bound(k + 1, magnitude.map((value, i) => 0.75 * value + Math.abs(start[i]))),
      "C added to",
    );
  });
}

Deno.test("A row that is too long to bind is refused, not cut for ever", async () => {
  using a = gpu.tensor([2, 4096]);
  using b = gpu.tensor([3, 4096]);
  await binding(8192, () => {
    assertThrows(() => matmul(gpu, "nt", a, b), Error, "a binding of 32768 bytes, expected at most 8192");
    return Promise.resolve();
  });
  await gpu.settled();
});

for (const dtype of ["f32", "f16", "bf16", ...blockDTypes] as const) {
  Deno.test(`embedding() and effectiveWeight() of a table of ${dtype} in parts: the bits of the whole`, async () => {
    const [v, d, r] = [700, 256, 4];
    const rng = new Rng(5, dtype);
    const draw = (...shape: number[]) =>
      gpu.upload(Float32Array.from({ length: shape[0] * shape[1] }, () => rng.normal()), shape);
    const bytes = new Uint8Array(byteLength([v, d], dtype));
    for (let i = 0; i < bytes.length; i++) bytes[i] = i % 2 ? 32 + rng.below(16) : rng.below(256);
    const host = { shape: [v, d], dtype, bytes };
    assert(toFloat32(host).some((x) => x !== 0));
    using table = gpu.uploadHost(host);
    const tokens = Uint32Array.from({ length: 50 }, (_, i) => i === 7 ? v : rng.below(v));
    using ids = gpu.upload(tokens, [50]);
    using a = draw(r, d);
    using b = draw(v, r);
    using a0 = draw(r, d);
    using b0 = draw(v, r);
    const make = async (gpu: Gpu) => {
      using x = embedding(gpu, ids, table);
      using w = effectiveWeight(gpu, table);
      using moved = effectiveWeight(gpu, table, { scale: 0.5, trained: { a, b }, start: { a: a0, b: b0 } });
      return await Promise.all([x, w, moved].map((tensor) => gpu.readBytes(tensor)));
    };
    const [whole, parts] = [await make(gpu), await binding(1 << 17, make)];
    assertEquals(parts, whole);
  });

  Deno.test(`matmul() with a weight of ${dtype} in parts, forward and backward`, async () => {
    const [m, v, d] = [12, 700, 256];
    const rng = new Rng(6, dtype);
    const host = isBlockDType(dtype)
      ? randomBlocks(rng, [v, d], dtype)
      : hostTensor([v, d], Float32Array.from({ length: v * d }, () => rng.normal()), dtype);
    const w = Float64Array.from(toFloat32(host));
    using table = gpu.uploadHost(host);
    for (const [form, n, k] of [["nt", v, d], ["nn", d, v]] as const) {
      const x = Float32Array.from({ length: m * k }, () => rng.normal());
      using a = gpu.upload(x, [m, k]);
      using c = await binding(1 << 16, (gpu) => Promise.resolve(matmul(gpu, form, a, table)));
      const [exact, size] = [(value: number) => value, Math.abs]
        .map((f) => twin(Float64Array.from(x, f), w.map(f), { m, n, k }, form));
      expectClose(await gpu.read(c), exact, bound(k, size), form);
    }
  });
}

Deno.test("matmul() refuses by its type what no kernel reads", () => {
  using a = gpu.tensor([32, 32]);
  using half = gpu.tensor([32, 32], "f16");
  using blocks = gpu.tensor([32, 32], "q8_0");
  using ids = gpu.tensor([32, 32], "u32");
  using batched = gpu.tensor([2, 32, 32]);
  using halves = gpu.tensor([2, 32, 32], "bf16");
  assertThrows(() => matmul(gpu, "nt", half, a), TypeError, "matmul nt with f16: expected f32");
  assertThrows(() => matmul(gpu, "tn", a, blocks), TypeError, "matmul tn with q8_0: expected f32");
  assertThrows(() => matmul(gpu, "nn", a, ids), TypeError, "matmul nn with u32: expected f32");
  assertThrows(() => matmul(gpu, "nn", batched, halves), TypeError, "matmul nn with bf16: expected f32");
});

Deno.test("A table as large as GPT-2's vocabulary in f32 is read as it is, on a device that cannot bind it too", async () => {
  const [v, d] = [50_257, 768];
  const bits = Uint32Array.from(
    { length: v * d },
    (_, i) => (Math.imul(i, 2_654_435_761) >>> 9) | 0x3f800000,
  );
  const w = new Float32Array(bits.buffer);
  using table = gpu.upload(w, [v, d]);
  const tokens = [3, 43_690, 43_691, 50_256];
  using ids = gpu.upload(Uint32Array.from(tokens), [tokens.length]);
  using x = embedding(gpu, ids, table);
  const rows = tokens.flatMap((id) => [...w.subarray(id * d, (id + 1) * d)]);
  assertEquals(await gpu.read(x), Float32Array.from(rows));
  using y = matmul(gpu, "nt", x, table);
  const products = await gpu.read(y);
  for (const row of [0, 43_690, 43_691, v - 1]) {
    const sums = tokens.map((_, i) =>
      rows.slice(i * d, (i + 1) * d).reduce((sum, value, j) => sum + value * w[row * d + j], 0)
    );
    expectClose(tokens.map((_, i) => products[i * v + row]), sums, bound(d, sums), `logits of ${row}`);
  }
});

Deno.test("rowNorms() and rescaleRows() in parts", async () => {
  const [d, k] = [1030, 33];
  const x = Float32Array.from({ length: d * k }, (_, i) => Math.sin(i));
  const lengths = Float32Array.from({ length: d }, (_, i) => Math.cos(i));
  using v = gpu.upload(x, [d, k]);
  using m = gpu.upload(lengths, [d]);
  const made = async (gpu: Gpu) => {
    using norm = rowNorms(gpu, v);
    using y = rescaleRows(gpu, v, { m, norm });
    return [await gpu.read(norm), await gpu.read(y)];
  };
  assertEquals(await binding(1 << 16, made), await made(gpu));
});

Deno.test("normInto() in parts", async () => {
  const x = Float32Array.from({ length: 100_001 }, (_, i) => Math.sin(i));
  using tensor = gpu.upload(x, [x.length]);
  using norm = gpu.tensor([3]);
  gpu.clear(norm);
  await binding(1 << 16, (gpu) => Promise.resolve(normInto(gpu, tensor, norm, { at: 1 })));
  const expected = Math.hypot(...x.subarray(0, 50_000)) ** 2 + Math.hypot(...x.subarray(50_000)) ** 2;
  expectClose(
    await gpu.read(norm),
    [0, Math.sqrt(expected), 0],
    bound(64, [0, Math.sqrt(expected), 0]),
    "norm",
  );
});

const CASES: AttachOptions[] = [
  { method: "full" },
  { method: "olora", rank: 8, targets: "all-linear" },
  { method: "dora", rank: 8, targets: "all-linear" },
];
for (const options of CASES) {
  Deno.test(`Training data/tiny by ${options.method}, most of its matrices in parts`, async () => {
    using model = await loadModel("tiny", { gpu });
    const [b, t] = [2, 16];
    const v = model.config.vocabularySize;
    const ids = Uint32Array.from({ length: b * t }, (_, i) => (77 * i + 3) % v);
    const targets = Int32Array.from({ length: b * t }, (_, i) => (77 * i + 80) % v);
    const train = async () => {
      using adapter = await attach(model, options);
      const batches = function* (): Generator<Batch, void> {
        for (let position = 1;; position++) yield { ids, targets, shape: [b, t], count: b * t, position };
      };
      using trainer = new Trainer(adapter, batches(), { steps: 3, learningRate: 1e-3, clip: 1 });
      const records = (await Array.fromAsync(trainer.run())).flat();
      const text = await Array.fromAsync(generate(model, [1, 5, 9], { maxNewTokens: 5 }));
      return { text, figures: records.flatMap(({ loss, gradNorm }) => [loss, gradNorm]) };
    };
    const [whole, parts] = [await train(), await binding(1 << 17, train)];
    assertEquals(parts.text, whole.text);
    const { layers, mlpWidth } = model.config;
    expectClose(parts.figures, whole.figures, bound(layers * mlpWidth, whole.figures), "losses and norms");
  });
}
