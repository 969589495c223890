import { assert, assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { attention } from "../../lib/ops/attention.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { onEachVariant } from "./attention_bounds.ts";
import { cases } from "./attention_cases.ts";

testCases(cases);

Deno.test("attention() keeps b · h · t floats beside its result and gives the same bits each time", async () => {
  const gpu = await testDevice();
  const [b, t, h, hk, c] = [2, 64, 4, 2, 16];
  const rng = new Rng(9);
  const normal = (shape: number[]) =>
    gpu.upload(Float32Array.from({ length: shape.reduce((x, y) => x * y) }, () => rng.normal()), shape);
  using q = normal([b, t, h, c]);
  using k = normal([b, t, hk, c]);
  using v = normal([b, t, hk, c]);
  await onEachVariant(gpu, async () => {
    const before = gpu.liveBytes;
    gpu.pool.resetPeak();
    const first = attention(gpu, q, k, v);
    assertEquals(gpu.pool.peakBytes - before, 4 * (b * t * h * c + b * h * t));
    const second = attention(gpu, q, k, v);
    assertEquals(await gpu.readBytes(first.out), await gpu.readBytes(second.out));
    for (const made of [first, second]) {
      made.out.dispose();
      made.logSumExp.dispose();
    }
  });
});

Deno.test("attention() is not moved by keys that no query sees", async () => {
  const gpu = await testDevice();
  const [b, t, s, h, c] = [1, 3, 11, 2, 8];
  const rng = new Rng(10);
  const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
  const [qs, ks, vs] = [normal(b * t * h * c), normal(b * s * h * c), normal(b * s * h * c)];
  using q = gpu.upload(qs, [b, t, h, c]);
  await onEachVariant(gpu, async (variant) => {
    const results: Float32Array[] = [];
    for (const rest of [0, 1e30]) {
      using k = gpu.upload(ks.map((x, i) => i < 5 * h * c ? x : rest), [b, s, h, c]);
      using v = gpu.upload(vs.map((x, i) => i < 5 * h * c ? x : rest), [b, s, h, c]);
      const { out, logSumExp } = attention(gpu, q, k, v, { start: 2 });
      results.push(await gpu.read(out));
      out.dispose();
      logSumExp.dispose();
    }
    assertEquals(results[0], results[1], variant);
    assert(results[0].every(Number.isFinite));
  });
});

Deno.test("attention() refuses heads that do not divide, odd widths, missing keys and unknown variants", async () => {
  const gpu = await testDevice();
  const make = (h: number, c: number, s = 4) => gpu.tensor([1, s, h, c]);
  using q = make(3, 8);
  using k = make(2, 8);
  assertThrows(() => attention(gpu, q, k, k), RangeError, "h = 3: expected a multiple of hk = 2");
  using odd = make(2, 7);
  assertThrows(() => attention(gpu, odd, odd, odd), RangeError, "c = 7: expected an even head width");
  assertThrows(() => attention(gpu, k, k, k, { start: 1 }), RangeError, "expected at least 5 keys, got 4");
  using other = make(2, 16);
  assertThrows(() => attention(gpu, k, k, other), RangeError, "v [b, s, hk, c]: got shape [1, 4, 2, 16]");
  const before = gpu.variants.get("attention");
  gpu.variants.set("attention", "fastest");
  assertThrows(() => attention(gpu, k, k, k), RangeError, 'variant "fastest"');
  gpu.variants.delete("attention");
  if (before) gpu.variants.set("attention", before);
});
