import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention, attentionBackward } from "../../lib/ops/attention.ts";
import { SHAPES } from "./attention_bench.ts";
import { type BenchRow, measure } from "./measure.ts";

/** Both halves of attention's backward pass; flops are those of the two products rebuilt in each and three more. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [b, t, h, hk, c] of SHAPES) {
    const filled = (shape: number[]) =>
      gpu.upload(new Float32Array(shape.reduce((x, y) => x * y)).fill(0.1), shape);
    using q = filled([b, t, h, c]);
    using k = filled([b, t, hk, c]);
    using v = filled([b, t, hk, c]);
    using dOut = filled([b, t, h, c]);
    const forward = attention(gpu, q, k, v);
    using out = forward.out;
    using logSumExp = forward.logSumExp;
    const ms = await measure(gpu, () => {
      const { dq, dk, dv } = attentionBackward(gpu, { q, k, v, out, logSumExp, dOut });
      for (const made of [dq, dk, dv]) made.dispose();
    });
    rows.push({
      kernel: "attention_backward",
      shape: `b ${b}, t ${t}, h ${h}, hk ${hk}, c ${c}`,
      ms,
      flops: 14 * c * b * h * t * (t + 1) / 2,
      bytes: 4 * b * t * (4 * h * c + 4 * hk * c + h),
    });
  }
  return rows;
}
