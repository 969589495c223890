import type { Gpu } from "../../lib/gpu/gpu.ts";
import { activate, activateBackward } from "../../lib/ops/activation.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The activations of an MLP without a gate, and their gradients. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 3072]]) {
    using x = gpu.upload(noise(n * d), [n, d]);
    const shape = `[${n}, ${d}]`;
    rows.push(
      ...await measure(
        gpu,
        (["gelu", "relu"] as const).flatMap((phi) => [{
          kernel: `activation_${phi}`,
          shape,
          bytes: 2 * x.byteLength,
          record: () => activate(gpu, phi, x).dispose(),
        }, {
          kernel: `activation_backward_${phi}`,
          shape,
          bytes: 3 * x.byteLength,
          record: () => activateBackward(gpu, phi, x, x).dispose(),
        }]),
      ),
    );
  }
  return rows;
}
