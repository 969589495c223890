import type { Gpu } from "../../lib/gpu/gpu.ts";
import { dropout } from "../../lib/ops/dropout.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Masks of a layer's input: time goes with the generator's 20 rounds. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 1024]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    const record = () => dropout(gpu, x, 0.1, [1, 2]).dispose();
    const bytes = 2 * x.byteLength;
    rows.push(...await measure(gpu, [{ kernel: "dropout", shape: `[${n}, ${d}]`, bytes, record }]));
  }
  return rows;
}
