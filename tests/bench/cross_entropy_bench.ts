import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { crossEntropy } from "../../lib/ops/cross_entropy.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The loss alone, and with the gradient of the hidden states; the flops are those of the matrix products. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d, v] of [[1024, 64, 512], [1024, 128, 2048]]) {
    const rng = new Rng(1, "cross-entropy bench");
    using x = gpu.upload(noise(n * d), [n, d]);
    using head = gpu.upload(noise(v * d), [v, d]);
    using targets = gpu.upload(Int32Array.from({ length: n }, () => rng.below(v)), [n]);
    const work = (dx: boolean) => ({
      kernel: "cross_entropy",
      shape: `n ${n}, d ${d}, v ${v}${dx ? ", with dx" : ""}`,
      flops: (dx ? 4 : 2) * n * d * v,
      record: () => {
        const made = crossEntropy(gpu, x, head, targets, { dx });
        made.nll.dispose();
        made.dx?.dispose();
      },
    });
    rows.push(...await measure(gpu, [work(false), work(true)]));
  }
  return rows;
}
