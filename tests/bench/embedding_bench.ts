import { hostTensor } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { embedding } from "../../lib/ops/embedding.ts";
import { type BenchRow, measure, noise } from "./measure.ts";

/** The gather from tables of each type. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const [n, d, v] = [1024, 576, 4096];
  const rng = new Rng(1, "embedding bench");
  using ids = gpu.upload(Uint32Array.from({ length: n }, () => rng.below(v)), [n]);
  const data = noise(v * d);
  const rows: BenchRow[] = [];
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    using table = gpu.uploadHost(hostTensor([v, d], data, dtype));
    rows.push(
      ...await measure(gpu, [{
        kernel: "embedding",
        shape: `n ${n}, d ${d}, v ${v} of ${dtype}`,
        bytes: n * (4 + 4 * d + table.byteLength / v),
        record: () => embedding(gpu, ids, table).dispose(),
      }]),
    );
  }
  return rows;
}
