import type { Gpu } from "../../lib/gpu/gpu.ts";
import { rmsNorm, rmsNormBackward, rmsNormWeight } from "../../lib/ops/rms_norm.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The norm of a residual sum, its gradient, and its weight's: rows of vectors, and rows that are not. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 64], [1024, 63], [1024, 576]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    using delta = gpu.upload(noise(n * d), [n, d]);
    using w = gpu.upload(noise(d), [d]);
    using dw = gpu.upload(noise(d), [d]);
    const { h, y, rho } = rmsNorm(gpu, x, w, { eps: 1e-5, delta });
    const shape = `[${n}, ${d}]`;
    rows.push(
      ...await measure(gpu, [{
        kernel: "rms_norm",
        shape: `${shape} and delta`,
        bytes: 4 * x.byteLength,
        record() {
          const result = rmsNorm(gpu, x, w, { eps: 1e-5, delta });
          for (const tensor of [result.h, result.y, result.rho]) tensor.dispose();
        },
      }, {
        kernel: "rms_norm_backward",
        shape: `${shape} and dh`,
        bytes: 4 * x.byteLength,
        record: () => rmsNormBackward(gpu, { h, rho, w }, y, delta).dispose(),
      }, {
        kernel: "rms_norm_weight",
        shape: `${shape}, with column_sum`,
        bytes: 2 * x.byteLength,
        record: () => rmsNormWeight(gpu, { h, rho }, y, dw),
      }]),
    );
    for (const tensor of [h, y, rho]) tensor.dispose();
  }
  return rows;
}
