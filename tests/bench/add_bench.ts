import type { Gpu } from "../../lib/gpu/gpu.ts";
import { add } from "../../lib/ops/add.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Sums of two tensors. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 1024]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    using y = gpu.upload(noise(n * d), [n, d]);
    const bytes = 3 * x.byteLength;
    const record = () => add(gpu, x, y).dispose();
    rows.push(...await measure(gpu, [{ kernel: "add", shape: `[${n}, ${d}]`, bytes, record }]));
  }
  return rows;
}
