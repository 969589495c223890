import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { embeddingBackward, embeddingPlan } from "../../lib/ops/embedding.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The gradient of the gather: many rows read seldom, and few rows read often. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d, v] of [[1024, 128, 2048], [1024, 128, 16]]) {
    const rng = new Rng(1, "embedding bench");
    using plan = embeddingPlan(gpu, Uint32Array.from({ length: n }, () => rng.below(v)), v);
    using dx = gpu.upload(noise(n * d), [n, d]);
    using into = gpu.upload(noise(v * d), [v, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "embedding_backward",
        shape: `n ${n}, d ${d}, v ${v}`,
        bytes: 4 * d * (n + 2 * plan.count),
        record: () => embeddingBackward(gpu, plan, dx, into, true),
      }]),
    );
  }
  return rows;
}
