import type { Gpu } from "../../lib/gpu/gpu.ts";
import { qr } from "../../lib/linalg/qr.ts";
import { requires } from "../helpers/requires.ts";
import { median, noise } from "./measure.ts";
import { runPython } from "./peers/python.ts";

const N = 4096;
const COLUMNS = 32;
const ROUNDS = 3;

/**
 * QR as OLoRA's start needs it, beside `torch.linalg.qr` on all cores, which is what PEFT calls: in turns, each LAPACK
 * round in a process of its own.
 */
export async function compareLapack(gpu: Gpu): Promise<void> {
  console.log(`\nQR of ${N} × ${N}, ${COLUMNS} columns, W on the device, R read`);
  using w = gpu.upload(noise(N * N), [N, N]);
  const [ours, theirs]: number[][] = [[], []];
  await seconds(gpu, w);
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await seconds(gpu, w), await seconds(gpu, w));
    if (!requires("python").ignore) theirs.push(await lapack());
  }
  console.log(`  this kit                           ${(1000 * median(ours)).toFixed(0).padStart(13)} ms`);
  if (!theirs.length) return;
  const ratio = (median(theirs) / median(ours)).toFixed(1);
  console.log(
    `  torch.linalg.qr                    ${
      (1000 * median(theirs)).toFixed(0).padStart(13)
    } ms  this kit ${ratio} ×`,
  );
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

async function lapack(): Promise<number> {
  const { seconds } = await runPython("torch_qr.py", ["--n", String(N), "--rounds", "1"]);
  return seconds;
}
