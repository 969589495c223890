import type { Gpu } from "../../lib/gpu/gpu.ts";
import { columnSumSpec } from "../../lib/kernels/column_sum.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Sums over the chunks of a norm's weight gradient. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const [n, d] = [64, 576];
  using x = gpu.upload(noise(n * d), [n, d]);
  using y = gpu.tensor([d]);
  const record = () => gpu.run(columnSumSpec, [x, y], { n, d, accumulate: 0 });
  return await measure(gpu, [{ kernel: "column_sum", shape: `[${n}, ${d}]`, bytes: x.byteLength, record }]);
}
