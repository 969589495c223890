import type { Gpu } from "../../lib/gpu/gpu.ts";
import { center } from "../../lib/ops/center.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The first part of a layer norm. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 768]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "center",
        shape: `[${n}, ${d}]`,
        bytes: 2 * x.byteLength,
        record: () => center(gpu, x).dispose(),
      }]),
    );
  }
  return rows;
}
