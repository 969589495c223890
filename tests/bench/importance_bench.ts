import type { Gpu } from "../../lib/gpu/gpu.ts";
import { importance } from "../../lib/ops/importance.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Averages of few and of many parameters. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const n of [1 << 15, 1 << 20]) {
    using parameters = gpu.upload(noise(n), [n]);
    using gradient = gpu.upload(noise(n), [n]);
    using mean = gpu.upload(new Float32Array(n), [n]);
    using uncertainty = gpu.upload(new Float32Array(n), [n]);
    const bytes = 6 * parameters.byteLength;
    const record = () => importance(gpu, { parameters, gradient, mean, uncertainty }, 0.85);
    rows.push(...await measure(gpu, [{ kernel: "importance", shape: `${n} parameters`, bytes, record }]));
  }
  return rows;
}
