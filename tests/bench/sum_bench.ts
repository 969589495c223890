import type { Gpu } from "../../lib/gpu/gpu.ts";
import { normInto, sumInto } from "../../lib/ops/sum.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** A sum of losses, and the norm of many gradients. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  using into = gpu.tensor([1]);
  for (const n of [1024, 1 << 20]) {
    using x = gpu.upload(noise(n), [n]);
    const bytes = x.byteLength;
    rows.push(
      ...await measure(gpu, [
        { kernel: "sum", shape: `${n} elements`, bytes, record: () => sumInto(gpu, x, into) },
        { kernel: "sum", shape: `norm of ${n} elements`, bytes, record: () => normInto(gpu, x, into) },
      ]),
    );
  }
  return rows;
}
