/**
 * Pretrains a base of data/tiny with the kit itself and puts it there: `deno run -A data/make/pretrain.ts SEED`. Goes on
 * from its checkpoint in out/; Ctrl-C stops with one.
 *
 * @module
 */
import {
  attach,
  type Batch,
  batchesInOrder,
  loadDataset,
  loadModel,
  meanLoss,
  openDevice,
  readCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
  saveModel,
  Trainer,
} from "../../mod.ts";
import { type HostTensor, hostTensor, Rng } from "../../mod.ts";
import { progressBar } from "../../lib/cli/command.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { appendLine, readJsonl } from "../../lib/io/jsonl.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";
import { loadTokenizer } from "../../lib/io/tokenizer.ts";
import { expectedTensors } from "../../lib/io/weights.ts";
import { writeSafetensors } from "../../lib/io/safetensors.ts";
import { pretrainBatches } from "./pretrain_batches.ts";
import settings from "./pretrain.json" with { type: "json" };

const DATA = decodeURIComponent(new URL("../", import.meta.url).pathname);

/** Folder of the base of `seed` under data/tiny; the first is data/tiny itself. */
export function baseFolder(seed: number): string {
  return seed === 1 ? `${DATA}tiny` : `${DATA}tiny/seed-${seed}`;
}

/**
 * A random start in f32: normal with deviation 0.02, for projections into the residual stream 0.02 / √(2 layers),
 * norms at one.
 *
 * Source: Radford et al. 2019 (GPT-2), §2.3.
 */
async function writeStart(seed: number, folder: string): Promise<void> {
  const config = await readModelConfig(baseFolder(seed));
  const tensors = new Map<string, HostTensor>();
  for (const [name, shape] of expectedTensors(config)) {
    const rng = new Rng(seed, `start ${name}`);
    const into = /(o_proj|down_proj)/.test(name);
    const deviation = into ? 0.02 / Math.sqrt(2 * config.layers) : 0.02;
    const count = shape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from(
      { length: count },
      () => shape.length === 1 ? 1 : deviation * rng.normal(),
    );
    tensors.set(name, hostTensor(shape, values));
  }
  for (const name of ["config.json", "tokenizer.json"]) {
    await writeFileAtomic(`${folder}/${name}`, await Deno.readTextFile(`${baseFolder(seed)}/${name}`));
  }
  await writeSafetensors(`${folder}/model.safetensors`, tensors);
}

/** Fresh text as batches that predict every token. */
function* stream(encode: (text: string) => number[], seed: number, position: number): Generator<Batch, void> {
  const { batchSize, seqLen } = settings;
  for (const batch of pretrainBatches(encode, { seed, batchSize, seqLen: seqLen + 1, position })) {
    const ids = new Uint32Array(batchSize * seqLen);
    const targets = new Int32Array(batchSize * seqLen);
    for (let i = 0; i < batchSize; i++) {
      for (let j = 0; j < seqLen; j++) {
        ids[i * seqLen + j] = batch.ids[i * (seqLen + 1) + j];
        targets[i * seqLen + j] = batch.ids[i * (seqLen + 1) + j + 1];
      }
    }
    yield { ids, targets, shape: [batchSize, seqLen], count: ids.length, position: batch.position + 1 };
  }
}

/**
 * Pretrains the base of `seed`.
 *
 * @returns The folder with `model.safetensors` and `log.jsonl`; undefined if stopped.
 */
export async function pretrain(seed: number): Promise<string | undefined> {
  const out = `out/pretrain-${seed}`;
  const log = `${out}/log.jsonl`;
  await writeStart(seed, `${out}/start`);
  using gpu = await openDevice();
  using model = await loadModel(`${out}/start`, { gpu });
  const { encode } = await loadTokenizer(baseFolder(seed));
  using adapter = await attach(model, { method: "full" });
  const stored = await readCheckpoint(`${out}/checkpoint`);
  for (const [kernel, variant] of stored?.variants ?? []) gpu.variants.set(kernel, variant);
  const identity = JSON.stringify({ seed, ...settings });
  const position = stored?.position ?? 0;
  using trainer = new Trainer(
    adapter,
    stream((text) => encode(text, { addSpecial: false }), seed, position),
    { ...settings, schedule: "cosine" },
    position,
  );
  if (stored) await restoreCheckpoint(stored, trainer, identity);
  const kept = stored ? (await readJsonl(log)).map(({ value }) => value as { step: number }) : [];
  const before = kept.filter(({ step }) => step <= trainer.step);
  await writeFileAtomic(log, before.map((row) => JSON.stringify(row) + "\n").join(""));
  const heldOut = await loadDataset(`${DATA}tiny/general/held_out.jsonl`, model.tokenizer);
  const rows = [...batchesInOrder(heldOut, { batchSize: 64, seqLen: settings.seqLen })];

  let stopped = false;
  Deno.addSignalListener("SIGINT", () => stopped = true);
  const bar = progressBar();
  const { steps, evaluateEvery } = settings;
  console.error(`base ${seed} on ${gpu.info.name}: ${adapter.trainable} parameters, ${steps} steps`);
  while (trainer.step < steps && !stopped) {
    const losses: number[] = [];
    const until = Math.min(steps, (Math.floor(trainer.step / evaluateEvery) + 1) * evaluateEvery);
    const resumedAt = position;
    for await (const records of trainer.run({ until, stopped: () => stopped })) {
      losses.push(...records.map(({ loss }) => loss));
      bar.update({ done: trainer.step, total: steps, resumedAt, extra: `loss ${losses.at(-1)!.toFixed(3)}` });
    }
    if (trainer.step === until) {
      const { mean } = await meanLoss(model, rows);
      const train = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      appendLine(log, { step: trainer.step, tokens: trainer.tokens, train, heldOut: mean });
    }
    await saveCheckpoint(`${out}/checkpoint`, trainer, identity);
  }
  bar.finish();
  if (trainer.step < steps) return undefined;
  await saveModel(model, `${out}/model`, "f16");
  await Deno.rename(`${out}/model/model.safetensors`, `${out}/model.safetensors`);
  return out;
}

if (import.meta.main) {
  const seed = Number(Deno.args[0] ?? 1);
  const made = await pretrain(seed);
  if (made) {
    await Deno.copyFile(`${made}/model.safetensors`, `${baseFolder(seed)}/model.safetensors`);
    await Deno.copyFile(`${made}/log.jsonl`, `${DATA}results/pretrain-${seed}.jsonl`);
  }
}
