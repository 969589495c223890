import type { Gpu } from "../../lib/gpu/gpu.ts";
import { qr } from "../../lib/linalg/qr.ts";
import { median, noise } from "./measure.ts";
import { runPython, torchDevices } from "./peers/python.ts";

const N = 4096;
const COLUMNS = 32;

/**
 * QR as OLoRA's start needs it, beside `torch.linalg.qr`, which is what PEFT calls, on all cores and through CUDA: in
 * turns, each round of PyTorch in a process of its own.
 */
export async function compareLapack(gpu: Gpu, rounds = 3): Promise<void> {
  console.log(`\nQR of ${N} × ${N}, ${COLUMNS} columns, W on the device, R read`);
  using w = gpu.upload(noise(N * N), [N, N]);
  const ours: number[] = [];
  const peers = torchDevices(gpu).map((device) => ({ device, times: [] as number[] }));
  await seconds(gpu, w);
  for (let round = 0; round < rounds; round++) {
    ours.push(await seconds(gpu, w), await seconds(gpu, w));
    for (const { device, times } of peers) {
      times.push(
        (await runPython("torch_qr.py", ["--n", `${N}`, "--rounds", "1", "--device", device])).seconds,
      );
    }
  }
  const cell = (list: number[]) => (1000 * median(list)).toFixed(0).padStart(13);
  console.log(`  this kit                           ${cell(ours)} ms`);
  for (const { device, times } of peers) {
    const ratio = (median(times) / median(ours)).toFixed(1);
    console.log(`  ${`torch.linalg.qr, ${device}`.padEnd(35)}${cell(times)} ms  this kit ${ratio} ×`);
  }
}

async function seconds(gpu: Gpu, w: Parameters<typeof qr>[1]): Promise<number> {
  const start = performance.now();
  const { q, r } = await qr(gpu, w, { columns: COLUMNS });
  await gpu.read(r);
  const time = (performance.now() - start) / 1000;
  q.dispose();
  r.dispose();
  return time;
}
