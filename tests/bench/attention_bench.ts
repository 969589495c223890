import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention } from "../../lib/ops/attention.ts";
import { type BenchRow, measure } from "./measure.ts";

/** b, t, h, hk, c: stories260K's heads, the embedded model's, SmolLM2's. */
export const SHAPES = [[8, 128, 8, 4, 8], [16, 64, 4, 4, 32], [2, 128, 9, 3, 64]];

/** The forward pass of training, and one token against a cache. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const one = async (b: number, t: number, s: number, h: number, hk: number, c: number) => {
    const filled = (shape: number[]) =>
      gpu.upload(new Float32Array(shape.reduce((x, y) => x * y)).fill(0.1), shape);
    using q = filled([b, t, h, c]);
    using k = filled([b, s, hk, c]);
    using v = filled([b, s, hk, c]);
    const ms = await measure(gpu, () => {
      const { out, logSumExp } = attention(gpu, q, k, v, { start: s - t });
      out.dispose();
      logSumExp.dispose();
    });
    const pairs = b * h * (t * (s - t) + t * (t + 1) / 2);
    rows.push({
      kernel: "attention",
      shape: `b ${b}, t ${t}, s ${s}, h ${h}, hk ${hk}, c ${c}`,
      ms,
      flops: 4 * c * pairs,
      bytes: 4 * b * (2 * t * h * c + 2 * s * hk * c + h * t),
    });
  };
  for (const [b, t, h, hk, c] of SHAPES) await one(b, t, t, h, hk, c);
  await one(1, 1, 256, 8, 4, 8);
  return rows;
}
