import type { Gpu } from "../../lib/gpu/gpu.ts";
import { scaleColumns, scaleColumnsGradient } from "../../lib/ops/scale_columns.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The factors of a flora layer of 344 × 128 for 16 texts of 64 tokens. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using x = gpu.upload(noise(1024 * 344), [1024, 344]);
  using s = gpu.upload(noise(16 * 344), [16, 344]);
  return await measure(gpu, [{
    kernel: "scale_columns",
    shape: "16 groups of [64, 344]",
    bytes: 2 * x.byteLength + s.byteLength,
    record: () => scaleColumns(gpu, x, s).dispose(),
  }, {
    kernel: "scale_columns",
    shape: "its gradient",
    bytes: 2 * x.byteLength + 2 * s.byteLength,
    record: () => scaleColumnsGradient(gpu, x, x, s),
  }]);
}
