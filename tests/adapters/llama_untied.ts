/** The fixture `llama_untied` as the tests of methods train it, and what a trained adapter has to keep. */
import { assertEquals } from "@std/assert";
import type { Adapter, AdapterConfig } from "../../lib/adapters/adapter.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer, type TrainOptions } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, modelFolder } from "../helpers/fixtures.ts";

const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");

/** Texts to compare functions on. */
export const { ids } = await expected("llama_untied");

export async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_untied")!, { gpu: await testDevice() });
}

/** The batches that `trainer` trains on. */
export function trainingBatches(): ReturnType<typeof batches> {
  return batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
}

export function trainer(adapter: Adapter, options: TrainOptions): Trainer {
  return new Trainer(adapter, trainingBatches(), { learningRate: 1e-2, ...options });
}

/**
 * Expects that the merged model, saved, computes what the adapter does, that the adapter, saved and loaded, has its settings,
 * its bits and those of its course, and that the base is there when it is off.
 *
 * @param saved Settings that the form it is saved in adds, and nats by which it may change a token; default none and 0.
 */
export async function expectKept(
  adapter: Adapter,
  base: Float32Array[],
  { told = {}, error = 0 }: { told?: Partial<AdapterConfig>; error?: number } = {},
): Promise<void> {
  const { model, config, layers, course } = adapter;
  const { gpu } = model;
  const trained = await score(model, ids);
  const folder = await Deno.makeTempDir();
  await saveModel(model, `${folder}/merged`);
  await saveAdapter(adapter, `${folder}/adapter`);
  using merged = await loadModel(`${folder}/merged`, { gpu });
  const read = await score(merged, ids);
  read.forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}, merged`));
  using other = await load();
  using loaded = await loadAdapter(other, `${folder}/adapter`);
  const sorted = (targets: AdapterConfig["targets"]) => Array.isArray(targets) ? targets.toSorted() : targets;
  const targets = config.targets === "all-linear" ? [...layers.keys()] : config.targets;
  assertEquals(
    { ...loaded.config, targets: sorted(loaded.config.targets) },
    { ...config, ...told, targets: sorted(targets) },
  );
  const again = await score(other, ids);
  again.forEach((row, i) => expectClose(row, trained[i], error, `row ${i}, loaded`));
  for (const [name, saved] of course!.saved) {
    assertEquals(await gpu.read(loaded.course!.saved.get(name)!), await gpu.read(saved));
  }
  await Deno.remove(folder, { recursive: true });
  adapter.detach();
  assertEquals(await score(model, ids), base);
}
