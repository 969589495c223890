import { attach, type Batch, loadModel, Trainer } from "../../mod.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { modelFolder } from "../helpers/fixtures.ts";
import { median } from "./measure.ts";
import { runPython, torchDevices } from "./peers/python.ts";

const B = 8;
const T = 128;
const STEPS = 16;

/** A training step of olora, r 8 on all linear layers, beside PEFT with PyTorch on all cores and through CUDA, in turns. */
export async function compareStep(gpu: Gpu, rounds = 5): Promise<void> {
  const folder = modelFolder("stories260k");
  if (!folder) return console.log("\nA training step on stories260K: left out, its weights are not here");
  console.log(`\nA training step of olora on stories260K, r 8 on all linear layers, batch ${B} x ${T}`);
  using model = await loadModel(folder, { gpu });
  using adapter = await attach(model, { method: "olora", rank: 8, alpha: 8, targets: "all-linear" });
  using trainer = new Trainer(adapter, sameBatch(), { steps: 1e9, learningRate: 1e-4 });
  const ours: number[] = [];
  const peers = torchDevices(gpu).map((device) => ({ device, times: [] as number[] }));
  await seconds(trainer, 3);
  for (let round = 0; round < rounds; round++) {
    ours.push(await seconds(trainer, STEPS));
    for (const { device, times } of peers) {
      const settings = ["--model", folder, "--rounds", "3", "--device", device];
      times.push((await runPython("peft_step.py", settings)).seconds);
    }
  }
  const cell = (list: number[]) => (1000 * median(list)).toFixed(1).padStart(13);
  console.log(`  this kit                           ${cell(ours)} ms`);
  for (const { device, times } of peers) {
    const ratio = (median(times) / median(ours)).toFixed(2);
    console.log(`  ${`PEFT, PyTorch, ${device}`.padEnd(35)}${cell(times)} ms  this kit ${ratio} ×`);
  }
}

async function seconds(trainer: Trainer, steps: number): Promise<number> {
  const start = performance.now();
  for await (const _ of trainer.run({ until: trainer.step + steps }));
  return (performance.now() - start) / 1000 / steps;
}

function* sameBatch(): Generator<Batch, void> {
  const ids = Uint32Array.from({ length: B * T }, (_, i) => 3 + (7919 * i) % 509);
  const targets = Int32Array.from({ length: B * T }, (_, i) => 3 + (7919 * (i + 1)) % 509);
  for (let position = 1;; position++) yield { ids, targets, shape: [B, T], count: ids.length, position };
}
