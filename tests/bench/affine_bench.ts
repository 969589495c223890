import type { Gpu } from "../../lib/gpu/gpu.ts";
import { affine } from "../../lib/ops/affine.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Scale and offset of activations. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 1536]]) {
    using x = gpu.upload(noise(n * d), [n, d]);

    rows.push(
      ...await measure(gpu, [{
        kernel: "affine",
        shape: `[${n}, ${d}]`,
        bytes: 2 * x.byteLength,
        record: () => affine(gpu, x, 1, 1).dispose(),
      }]),
    );
  }
  return rows;
}
