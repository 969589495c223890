import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention, attentionBackward } from "../../lib/ops/attention.ts";
import { SHAPES } from "./attention_bench.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Both kernels of the backward pass: three products for the queries and four for the keys and values. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [b, t, h, hk, c] of SHAPES) {
    using q = gpu.upload(noise(b * t * h * c), [b, t, h, c]);
    using k = gpu.upload(noise(b * t * hk * c), [b, t, hk, c]);
    using v = gpu.upload(noise(b * t * hk * c), [b, t, hk, c]);
    using dOut = gpu.upload(noise(b * t * h * c), [b, t, h, c]);
    const forward = attention(gpu, q, k, v);
    using out = forward.out;
    using logSumExp = forward.logSumExp;
    rows.push(
      ...await measure(gpu, [{
        kernel: "attention_backward",
        shape: `b ${b}, t ${t}, h ${h}, hk ${hk}, c ${c}`,
        flops: 14 * c * b * h * t * (t + 1) / 2,
        record: () => {
          const made = attentionBackward(gpu, { q, k, v, out, logSumExp, dOut });
          for (const gradient of Object.values(made)) gradient.dispose();
        },
      }]),
    );
  }
  return rows;
}
