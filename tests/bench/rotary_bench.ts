import type { Gpu } from "../../lib/gpu/gpu.ts";
import { rotary, rotaryTable } from "../../lib/ops/rotary.ts";
import { type BenchRow, measure } from "./measure.ts";

/** Rotary embedding of queries: small and larger heads. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [b, t, h, c] of [[8, 128, 8, 8], [8, 128, 4, 32], [4, 256, 9, 64]]) {
    using x = gpu.upload(new Float32Array(b * t * h * c).fill(1), [b, t, h, c]);
    using table = gpu.upload(rotaryTable(t, c, 1e4), [t, c]);
    const ms = await measure(gpu, () => rotary(gpu, x, table).dispose());
    rows.push({
      kernel: "rotary",
      shape: `b ${b}, t ${t}, h ${h}, c ${c}`,
      ms,
      flops: 3 * b * t * h * c,
      bytes: 4 * (2 * b * t * h * c + t * c),
    });
  }
  return rows;
}
