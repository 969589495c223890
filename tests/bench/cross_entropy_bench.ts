import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { crossEntropy } from "../../lib/ops/cross_entropy.ts";
import { type BenchRow, measure } from "./measure.ts";

/** The loss alone, and with the gradient of the hidden states, its matrix products counted in. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d, v] of [[1024, 64, 512], [1024, 128, 2048]]) {
    const rng = new Rng(1, "cross-entropy bench");
    const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
    using x = gpu.upload(normal(n * d), [n, d]);
    using head = gpu.upload(normal(v * d), [v, d]);
    using targets = gpu.upload(Int32Array.from({ length: n }, () => rng.below(v)), [n]);
    for (const dx of [false, true]) {
      const ms = await measure(gpu, () => {
        const made = crossEntropy(gpu, x, head, targets, { dx });
        made.nll.dispose();
        made.dx?.dispose();
      });
      rows.push({
        kernel: "cross_entropy",
        shape: `n ${n}, d ${d}, v ${v}${dx ? ", with dx" : ""}`,
        ms,
        flops: (dx ? 4 : 2) * n * d * v,
        bytes: 4 * ((dx ? 2 : 1) * n * d + v * d + n),
      });
    }
  }
  return rows;
}
