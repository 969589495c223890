import type { Gpu } from "../../lib/gpu/gpu.ts";
import { bias } from "../../lib/ops/bias.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The bias of a linear layer. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 1536]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    using b = gpu.upload(noise(d), [d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "bias",
        shape: `[${n}, ${d}]`,
        bytes: 2 * x.byteLength,
        record: () => bias(gpu, x, b).dispose(),
      }]),
    );
  }
  return rows;
}
