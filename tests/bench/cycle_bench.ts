import type { Gpu } from "../../lib/gpu/gpu.ts";
import { cycle, cycleBackward } from "../../lib/ops/cycle.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** What MoRA does around its square matrix for a layer of 344 × 128 at the size of r = 8. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  using h = gpu.upload(noise(1024 * 61), [1024, 61]);
  using x = gpu.upload(noise(1024 * 183), [1024, 183]);
  return await measure(gpu, [{
    kernel: "cycle",
    shape: "[1024, 61] to 344 columns",
    bytes: 4 * 1024 * (61 + 344),
    record: () => cycle(gpu, h, 344).dispose(),
  }, {
    kernel: "cycle",
    shape: "[1024, 183] to 61 sums",
    bytes: 4 * 1024 * (183 + 61),
    record: () => cycleBackward(gpu, x, 61).dispose(),
  }]);
}
