import type { Gpu } from "../../lib/gpu/gpu.ts";
import { nonFiniteSpec } from "../../lib/kernels/non_finite.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The look for NaN and infinity in a matrix. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const n = 1 << 20;
  using x = gpu.upload(noise(n), [n]);
  using flags = gpu.upload(new Uint32Array(1), [1]);
  const record = () => gpu.run(nonFiniteSpec, [x, flags], { n, at: 0 });
  return await measure(gpu, [{ kernel: "non_finite", shape: `${n} elements`, bytes: x.byteLength, record }]);
}
