import type { Gpu } from "../../lib/gpu/gpu.ts";
import { geluGate, geluGateBackward } from "../../lib/ops/gelu_gate.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The gelu gate of an MLP and its gradient. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [n, d] of [[1024, 172], [1024, 1536]]) {
    using g = gpu.upload(noise(n * d), [n, d]);
    using v = gpu.upload(noise(n * d), [n, d]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "gelu_gate",
        shape: `[${n}, ${d}]`,
        bytes: 3 * g.byteLength,
        record: () => geluGate(gpu, g, v).dispose(),
      }, {
        kernel: "gelu_gate_backward",
        shape: `[${n}, ${d}]`,
        bytes: 5 * g.byteLength,
        record() {
          const { dg, dv } = geluGateBackward(gpu, g, v, g);
          dg.dispose();
          dv.dispose();
        },
      }]),
    );
  }
  return rows;
}
