import { isBlockDType } from "../../lib/core/dtype.ts";
import { hostTensor } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { matvec } from "../../lib/ops/matvec.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** One token through SmolLM2-135M's largest layer and its head, from f32, f16 and blocks. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [out, width] of [[1536, 576], [49152, 576]]) {
    using x = gpu.upload(noise(width), [1, width]);
    for (const dtype of ["f32", "f16", "q4_1", "q8_0"] as const) {
      using w = gpu.uploadHost(
        isBlockDType(dtype)
          ? randomBlocks(new Rng(1), [out, width], dtype)
          : hostTensor([out, width], noise(out * width), dtype),
      );
      rows.push(
        ...await measure(gpu, [{
          kernel: "matvec",
          shape: `${out} × ${width} ${dtype}`,
          flops: 2 * out * width,
          bytes: w.byteLength + 4 * (out + width),
          record: () => matvec(gpu, x, w).dispose(),
        }]),
      );
    }
  }
  return rows;
}
