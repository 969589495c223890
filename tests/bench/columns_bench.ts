import type { Gpu } from "../../lib/gpu/gpu.ts";
import { joinColumns, splitColumns } from "../../lib/ops/columns.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** q, k and v out of one product, and their gradients back into one. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 768]]) {
    using x = gpu.upload(noise(3 * n * d), [n, 3 * d]);
    using part = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "columns",
        shape: `[${n}, ${3 * d}] in 3`,
        bytes: 2 * x.byteLength,
        record: () => splitColumns(gpu, x, 3).forEach((each) => each.dispose()),
      }, {
        kernel: "columns",
        shape: `3 of [${n}, ${d}] in one`,
        bytes: 2 * x.byteLength,
        record: () => joinColumns(gpu, [part, part, part]).dispose(),
      }]),
    );
  }
  return rows;
}
