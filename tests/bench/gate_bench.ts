import type { Gpu } from "../../lib/gpu/gpu.ts";
import { gate, gateBackward } from "../../lib/ops/gate.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The gates of an MLP and their gradients. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 1536]]) {
    using g = gpu.upload(noise(n * d), [n, d]);
    using v = gpu.upload(noise(n * d), [n, d]);
    const shape = `[${n}, ${d}]`;
    rows.push(
      ...await measure(
        gpu,
        (["silu", "gelu"] as const).flatMap((phi) => [{
          kernel: `gate_${phi}`,
          shape,
          bytes: 3 * g.byteLength,
          record: () => gate(gpu, phi, g, v).dispose(),
        }, {
          kernel: `gate_backward_${phi}`,
          shape,
          bytes: 5 * g.byteLength,
          record() {
            const { dg, dv } = gateBackward(gpu, phi, { g, v, dh: g });
            dg.dispose();
            dv.dispose();
          },
        }]),
      ),
    );
  }
  return rows;
}
