import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention } from "../../lib/ops/attention.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** b, t, h, hk, c: heads as in stories260K, in a small model, and in SmolLM2. */
export const SHAPES = [[8, 128, 8, 4, 8], [16, 64, 4, 4, 32], [2, 128, 9, 3, 64]];

/** The forward pass of training, and one token against a cache. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [b, t, h, hk, c, s = t] of [...SHAPES, [1, 1, 8, 4, 8, 256]]) {
    using q = gpu.upload(noise(b * t * h * c), [b, t, h, c]);
    using k = gpu.upload(noise(b * s * hk * c), [b, s, hk, c]);
    using v = gpu.upload(noise(b * s * hk * c), [b, s, hk, c]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "attention",
        shape: `b ${b}, t ${t}, s ${s}, h ${h}, hk ${hk}, c ${c}`,
        flops: 4 * c * b * h * (t * (s - t) + t * (t + 1) / 2),
        record: () => {
          const { out, logSumExp } = attention(gpu, q, k, v, { start: s - t });
          out.dispose();
          logSumExp.dispose();
        },
      }]),
    );
  }
  return rows;
}
