import type { Gpu } from "../../lib/gpu/gpu.ts";
import { magnitudeGradient, rescaleColumns, rescaleRows, rowNorms } from "../../lib/ops/magnitude.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** What a magnitude adds to a layer: norms of a weight's rows, its output scaled, its gradient; and rows for a merge. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 576]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    using dy = gpu.upload(noise(n * d), [n, d]);
    using m = gpu.upload(noise(d), [d]);
    using norm = gpu.upload(noise(d), [d]);
    using dm = gpu.upload(noise(d), [d]);
    using long = gpu.upload(noise(n), [n]);
    const shape = `[${n}, ${d}]`;
    rows.push(
      ...await measure(gpu, [{
        kernel: "magnitude_norms",
        shape,
        bytes: x.byteLength,
        record: () => rowNorms(gpu, x).dispose(),
      }, {
        kernel: "magnitude_scale",
        shape: `columns of ${shape}`,
        bytes: 2 * x.byteLength,
        record: () => rescaleColumns(gpu, x, { m, norm }).dispose(),
      }, {
        kernel: "magnitude_scale",
        shape: `rows of ${shape}`,
        bytes: 2 * x.byteLength,
        record: () => rescaleRows(gpu, x, { m: long, norm: long }).dispose(),
      }, {
        kernel: "magnitude_gradient",
        shape: `${shape}, with column_sum`,
        bytes: 2 * x.byteLength,
        record: () => magnitudeGradient(gpu, { z: x, norm }, dy, dm),
      }]),
    );
  }
  return rows;
}
