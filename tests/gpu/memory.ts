/**
 * `deno run -A tests/gpu/memory.ts` trains a tiny random model for 2,000 steps and writes what it held on the device
 * and in memory to data/results/memory.json.
 */
import { attach } from "../../lib/adapters/attach.ts";
import { Rng } from "../../lib/core/rng.ts";
import { size } from "../../lib/core/shape.ts";
import { VERSION } from "../../lib/core/version.ts";
import type { Batch } from "../../lib/datasets/batches.ts";
import { openDevice } from "../../lib/gpu/device.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import type { DecoderConfig } from "../../lib/io/model_config.ts";
import { expectedTensors } from "../../lib/io/weights.ts";
import { Model } from "../../lib/nn/model.ts";
import { Trainer } from "../../lib/train/train.ts";

/** What a training held after some steps. */
export interface MemorySample {
  /** Updates done. */
  step: number;
  /** Bytes of tensors alive. */
  liveBytes: number;
  /** Bytes of all buffers of the pool. */
  heldBytes: number;
  /** Resident memory of the process, bytes. */
  residentBytes: number;
}

const CONFIG: DecoderConfig = {
  family: "llama",
  vocabularySize: 16,
  width: 8,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 4,
  mlpWidth: 12,
  ropeBase: 1e4,
  normEps: 1e-5,
  context: 8,
  tiedEmbeddings: true,
  bos: undefined,
  eos: [],
};

/** Trains for `steps` updates on texts of changing length, with a sample every `every` steps. */
export async function trainingMemory(
  gpu: Gpu,
  steps: number,
  every: number,
  onSample?: () => void,
): Promise<MemorySample[]> {
  using model = randomModel(gpu);
  using adapter = await attach(model, { method: "olora", rank: 2, targets: "all-linear", seed: 1 });
  using trainer = new Trainer(adapter, randomBatches(), { steps, learningRate: 1e-3, readEvery: 50 });
  const samples: MemorySample[] = [];
  for (let until = every; until <= steps; until += every) {
    for await (const _records of trainer.run({ until }));
    await gpu.settled();
    onSample?.();
    samples.push({
      step: trainer.step,
      liveBytes: gpu.liveBytes,
      heldBytes: gpu.pool.heldBytes,
      residentBytes: Deno.memoryUsage().rss,
    });
  }
  return samples;
}

function randomModel(gpu: Gpu): Model {
  const rng = new Rng(1, "memory");
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of expectedTensors(CONFIG)) {
    weights.set(
      name,
      gpu.upload(Float32Array.from({ length: size(shape) }, () => 0.3 * rng.normal()), shape),
    );
  }
  return new Model(gpu, { name: "random", folder: "" }, CONFIG, undefined, weights);
}

function* randomBatches(): Generator<Batch> {
  const rng = new Rng(1, "batches");
  for (let position = 1;; position++) {
    const [b, t] = [2, 3 + rng.below(6)];
    const ids = Uint32Array.from({ length: b * t }, () => rng.below(CONFIG.vocabularySize));
    const targets = Int32Array.from({ length: b * t }, () => rng.below(CONFIG.vocabularySize));
    yield { ids, targets, shape: [b, t], count: b * t, position };
  }
}

if (import.meta.main) {
  using gpu = await openDevice();
  const samples = await trainingMemory(gpu, 2000, 100);
  const file = new URL("../../data/results/memory.json", import.meta.url);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  const report = {
    command: "deno run -A tests/gpu/memory.ts",
    what:
      "olora, rank 2 on all linear layers of a random decoder (1 layer, width 8), batches of 2 texts of 3 to 8 tokens",
    device: gpu.info.name,
    isSoftware: gpu.info.isSoftware,
    date: new Date().toISOString().slice(0, 10),
    version: VERSION,
    samples,
  };
  await Deno.writeTextFile(file, JSON.stringify(report, null, 2) + "\n");
  for (const { step, liveBytes, heldBytes, residentBytes } of samples) {
    console.log(
      `step ${step}: live ${liveBytes} B, pool ${heldBytes} B, resident ${
        (residentBytes / 2 ** 20).toFixed(1)
      } MiB`,
    );
  }
}
