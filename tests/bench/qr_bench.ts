import type { Gpu } from "../../lib/gpu/gpu.ts";
import { qr } from "../../lib/linalg/qr.ts";
import { type BenchRow, median, noise } from "./measure.ts";

const ROUNDS = 5;

/** QR of the first 32 columns with R = QᵀW beyond, W on the device, R read: the wait for the device counts. */
export async function bench(gpu: Gpu): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const columns = 32;
  for (const n of [576, 4096]) {
    using w = gpu.upload(noise(n * n), [n, n]);
    await gpu.settled();
    const times: number[] = [];
    for (let round = -1; round < ROUNDS; round++) {
      const start = performance.now();
      const { q, r } = await qr(gpu, w, { columns });
      await gpu.read(r);
      if (round >= 0) times.push(performance.now() - start);
      q.dispose();
      r.dispose();
    }
    rows.push({
      kernel: "qr",
      shape: `[${n}, ${n}], columns ${columns}, R read`,
      ms: median(times),
      flops: 2 * columns * n * n + 6 * columns * columns * n,
      bytes: w.byteLength,
    });
  }
  return rows;
}
