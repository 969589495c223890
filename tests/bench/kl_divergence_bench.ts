import type { Gpu } from "../../lib/gpu/gpu.ts";
import { klDivergence } from "../../lib/ops/kl_divergence.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Two heads' logits and their divergence; the flops are those of the matrix products. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d, v] of [[1024, 64, 512], [1024, 128, 2048]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    using y = gpu.upload(noise(n * d), [n, d]);
    using head = gpu.upload(noise(v * d), [v, d]);
    using targets = gpu.upload(new Int32Array(n), [n]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "kl_divergence",
        shape: `n ${n}, d ${d}, v ${v}`,
        flops: 4 * n * d * v,
        record: () => klDivergence(gpu, { x, head }, { x: y, head }, targets).dispose(),
      }]),
    );
  }
  return rows;
}
