import { assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { size } from "../../lib/core/shape.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { effectiveWeight as twin } from "../../lib/reference/effective_weight.ts";
import { magnitudeScale, rowNorms } from "../../lib/reference/magnitude.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./effective_weight_cases.ts";

testCases(cases);

for (const [out, width] of [[1, 1], [5, 7], [65, 36]]) {
  Deno.test(`effectiveWeight() of [${out}, ${width}] with a magnitude has rows of those lengths in V's directions`, async () => {
    const gpu = await testDevice();
    const rng = new Rng(out, "magnitude");
    const normal = (...shape: number[]) => Float32Array.from({ length: size(shape) }, () => rng.normal());
    const [w, a, b, m] = [normal(out, width), normal(2, width), normal(out, 2), normal(out)];
    using tw = gpu.upload(w, [out, width]);
    using ta = gpu.upload(a, [2, width]);
    using tb = gpu.upload(b, [out, 2]);
    using tm = gpu.upload(m, [out]);
    const scale = 0.1;
    using y = effectiveWeight(gpu, tw, { scale, trained: { a: ta, b: tb }, magnitude: tm });
    const wide = (x: Float32Array) => Float64Array.from(x);
    const dims = { out, in: width };
    const merge = (w: Float64Array, a: Float64Array, b: Float64Array) =>
      twin(w, { rank: 2, scale, a, b }, dims);
    const v = merge(wide(w), wide(a), wide(b));
    const norms = rowNorms(v, { d: out, k: width });
    const scaled = (x: Float64Array, m: Float64Array) =>
      magnitudeScale(x, m, norms, { n: 1, d: out, inner: width });
    const sizes = merge(wide(w).map(Math.abs), wide(a).map(Math.abs), wide(b).map(Math.abs));
    const limit = bound(2, scaled(sizes, wide(m).map(Math.abs)), (Math.sqrt(width) / 2 + 6.5) * EPS);
    expectClose(await gpu.read(y), scaled(v, wide(m)), limit, "y");
  });
}

Deno.test("effectiveWeight() refuses integers and factors of another shape", async () => {
  const gpu = await testDevice();
  using ids = gpu.tensor([2, 2], "u32");
  assertThrows(() => effectiveWeight(gpu, ids), TypeError, "stored as u32: expected f32, f16 or bf16");
  using w = gpu.tensor([4, 6]);
  using a = gpu.tensor([2, 5]);
  using b = gpu.tensor([4, 2]);
  assertThrows(
    () => effectiveWeight(gpu, w, { scale: 1, trained: { a, b } }),
    RangeError,
    "a [r, in]: got shape [2, 5], expected in = 6",
  );
});
