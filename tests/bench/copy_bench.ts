import type { Gpu } from "../../lib/gpu/gpu.ts";
import { affine } from "../../lib/ops/affine.ts";
import { type BenchRow, measure } from "./measure.ts";

/** What the others' GB/s are shares of: a copy of 64 MiB, by the queue or by a kernel, whichever is faster. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using from = gpu.tensor([1 << 24]);
  using to = gpu.tensor([1 << 24]);
  const copy = { kernel: "copy", bytes: 2 * from.byteLength };
  return await measure(gpu, [
    { ...copy, shape: "64 MiB by the queue", record: () => gpu.copy(from, to) },
    { ...copy, shape: "64 MiB by a kernel", record: () => affine(gpu, from, 1).dispose() },
  ]);
}
