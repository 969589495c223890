import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { embeddingBackward, embeddingPlan } from "../../lib/ops/embedding.ts";
import { type BenchRow, measure } from "./measure.ts";

/** The gradient of the gather: many rows read a few times, and few rows read often. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d, v] of [[1024, 128, 2048], [1024, 128, 16]]) {
    const rng = new Rng(1, "embedding bench");
    const ids = Uint32Array.from({ length: n }, () => rng.below(v));
    using plan = embeddingPlan(gpu, ids, v);
    using dx = gpu.upload(new Float32Array(n * d).fill(1), [n, d]);
    using into = gpu.upload(new Float32Array(v * d), [v, d]);
    const ms = await measure(gpu, () => embeddingBackward(gpu, plan, dx, into, true));
    rows.push({
      kernel: "embedding_backward",
      shape: `n ${n}, d ${d}, v ${v}`,
      ms,
      flops: n * d,
      bytes: 4 * d * (n + 2 * plan.count),
    });
  }
  return rows;
}
