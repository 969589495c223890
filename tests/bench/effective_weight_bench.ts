import { narrow } from "../../lib/core/half.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The weight that a layer with an adapter multiplies by, rank 8, from f32 and f16. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [out, width] of [[64, 64], [172, 64], [1536, 576]]) {
    const r = 8;
    using trainedA = gpu.upload(noise(r * width), [r, width]);
    using trainedB = gpu.upload(noise(out * r), [out, r]);
    using startA = gpu.upload(noise(r * width), [r, width]);
    using startB = gpu.upload(noise(out * r), [out, r]);
    for (const dtype of ["f32", "f16"] as const) {
      using w = gpu.uploadHost({ dtype, shape: [out, width], bytes: narrow(dtype, noise(out * width)) });
      const lowRank = {
        scale: 1,
        trained: { a: trainedA, b: trainedB },
        start: { a: startA, b: startB },
      };
      rows.push(
        ...await measure(gpu, [{
          kernel: "effective_weight",
          shape: `[${out}, ${width}] ${dtype}, r ${r}`,
          flops: 4 * r * out * width,
          bytes: w.byteLength + 4 * out * width,
          record: () => effectiveWeight(gpu, w, lowRank).dispose(),
        }]),
      );
    }
  }
  return rows;
}
