import type { Gpu } from "../../lib/gpu/gpu.ts";
import { relu, reluBackward } from "../../lib/ops/relu.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The activation of an MLP without a gate, and its gradient. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 3072]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "relu",
        shape: `[${n}, ${d}]`,
        bytes: 2 * x.byteLength,
        record: () => relu(gpu, x).dispose(),
      }, {
        kernel: "relu_backward",
        shape: `[${n}, ${d}]`,
        bytes: 3 * x.byteLength,
        record: () => reluBackward(gpu, x, x).dispose(),
      }]),
    );
  }
  return rows;
}
