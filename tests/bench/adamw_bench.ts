import type { Gpu } from "../../lib/gpu/gpu.ts";
import { adamw } from "../../lib/ops/adamw.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Updates of few and of many parameters. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const n of [1 << 15, 1 << 20]) {
    using gradient = gpu.upload(noise(n), [n]);
    using parameters = gpu.upload(noise(n), [n]);
    using m = gpu.upload(new Float32Array(n), [n]);
    using v = gpu.upload(new Float32Array(n), [n]);
    using norm = gpu.upload(new Float32Array([1]), [1]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "adamw",
        shape: `${n} parameters`,
        bytes: 8 * gradient.byteLength,
        record: () =>
          adamw(gpu, { gradient, parameters, m, v, norm }, { step: 1, learningRate: 1e-3, clip: 1 }),
      }]),
    );
  }
  return rows;
}
