import type { Gpu } from "../../lib/gpu/gpu.ts";
import { qr } from "../../lib/linalg/qr.ts";
import { requires } from "../helpers/requires.ts";
import { median, noise } from "./measure.ts";

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
  const python = requires("python");
  const [ours, theirs]: number[][] = [[], []];
  await seconds(gpu, w);
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await seconds(gpu, w), await seconds(gpu, w));
    if (!python.ignore) theirs.push(await lapack(python.path));
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

async function lapack(python: string): Promise<number> {
  const script = new URL("peers/torch_qr.py", import.meta.url).pathname;
  const args = [script, "--n", String(N), "--rounds", "1"];
  const { success, stdout } = await new Deno.Command(python, { args, stderr: "inherit" }).output();
  if (!success) throw new Error(`Cannot run ${script}: it ended with an error`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!).seconds;
}
