import type { Gpu } from "../../lib/gpu/gpu.ts";
import { type BenchRow, measure } from "./measure.ts";

/** What the others' GB/s are shares of: the device's own copy of 64 MiB. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using from = gpu.tensor([1 << 24]);
  using to = gpu.tensor([1 << 24]);
  const record = () => gpu.copy(from, to);
  return await measure(gpu, [{ kernel: "copy", shape: "64 MiB", bytes: 2 * from.byteLength, record }]);
}
