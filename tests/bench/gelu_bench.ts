import type { Gpu } from "../../lib/gpu/gpu.ts";
import { gelu, geluBackward } from "../../lib/ops/gelu.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The activation of an MLP without a gate, and its gradient. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 3072]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "gelu",
        shape: `[${n}, ${d}]`,
        bytes: 2 * x.byteLength,
        record: () => gelu(gpu, x).dispose(),
      }, {
        kernel: "gelu_backward",
        shape: `[${n}, ${d}]`,
        bytes: 3 * x.byteLength,
        record: () => geluBackward(gpu, x, x).dispose(),
      }]),
    );
  }
  return rows;
}
