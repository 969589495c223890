import type { Gpu } from "../../lib/gpu/gpu.ts";
import { siluGate, siluGateBackward } from "../../lib/ops/silu_gate.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The gate of an MLP and its gradient. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 1536]]) {
    using g = gpu.upload(noise(n * d), [n, d]);
    using v = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "silu_gate",
        shape: `[${n}, ${d}]`,
        bytes: 3 * g.byteLength,
        record: () => siluGate(gpu, g, v).dispose(),
      }, {
        kernel: "silu_gate_backward",
        shape: `[${n}, ${d}]`,
        bytes: 5 * g.byteLength,
        record() {
          const { dg, dv } = siluGateBackward(gpu, g, v, g);
          dg.dispose();
          dv.dispose();
        },
      }]),
    );
  }
  return rows;
}
