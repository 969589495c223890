import type { Gpu } from "../../lib/gpu/gpu.ts";
import { rotary, rotaryTable } from "../../lib/ops/rotary.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** Rotary embedding of queries: small and larger heads. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [b, t, h, c] of [[8, 128, 8, 8], [8, 128, 4, 32], [4, 256, 9, 64]]) {
    using x = gpu.upload(noise(b * t * h * c), [b, t, h, c]);
    using table = gpu.upload(rotaryTable(t, c, 1e4), [t, c]);
    rows.push(
      ...await measure(gpu, [{
        kernel: "rotary",
        shape: `b ${b}, t ${t}, h ${h}, c ${c}`,
        bytes: 2 * x.byteLength + table.byteLength,
        record: () => rotary(gpu, x, table).dispose(),
      }]),
    );
  }
  return rows;
}
