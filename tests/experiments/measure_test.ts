import { assert, assertEquals } from "@std/assert";
import type { AdapterConfig } from "../../lib/adapters/adapter.ts";
import { addMethod } from "../../lib/adapters/methods.ts";
import { pissa } from "../../lib/adapters/pissa.ts";
import { Laboratory } from "../../lib/experiments/measure.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const FOLDER = fixturePath("llama_tied");
const DATA = fixturePath("llama_tied/batches.json");

Deno.test("Laboratory.measure() of a run that finished, but whose row was lost, gives the same row", async () => {
  const gpu = await testDevice();
  using model = await loadModel(FOLDER, { gpu });
  const out = await Deno.makeTempDir();
  const laboratory = new Laboratory(model, { validation: DATA, general: DATA });
  const config = {
    ...{ model: FOLDER, data: DATA, out, method: "olora", rank: 2, learningRate: 1e-3, seed: 1, steps: 6 },
    evaluation: { data: DATA, every: 3 },
  };
  const measure = () => laboratory.measure("run", config, { stopped: () => false, resume: true });
  const [first, second] = [await measure(), await measure()];
  assert(first && second);
  for (const part of ["curve", "final", "trainable", "deviceBytes"] as const) {
    assertEquals(second[part], first[part], part);
  }
  assertEquals(first.curve.map(({ step }) => step), [0, 3, 6]);
  assert(first.final.validation !== null && first.trainable > 0 && first.deviceBytes > 0);
  await Deno.remove(out, { recursive: true });
});

Deno.test("Laboratory.measure() counts the memory of training steps, not of evaluations", async () => {
  const gpu = await testDevice();
  using model = await loadModel(FOLDER, { gpu });
  const config = {
    model: FOLDER,
    data: DATA,
    method: "lora",
    rank: 2,
    learningRate: 1e-3,
    seed: 1,
    steps: 2,
  };
  const bytes = async (evaluation: object) => {
    const laboratory = new Laboratory(model, { validation: DATA });
    const row = await laboratory.measure("run", { ...config, ...evaluation }, { stopped: () => false });
    return row!.deviceBytes;
  };
  assertEquals(await bytes({ evaluation: { data: DATA, every: 1 } }), await bytes({}));
});

Deno.test("Laboratory.measure() counts the items that the base knew and the tuned model does not", async () => {
  const gpu = await testDevice();
  using model = await loadModel("tiny", { gpu });
  const folder = await Deno.makeTempDir();
  const data = new URL("../../data/tiny/", import.meta.url);
  const items = (await Deno.readTextFile(new URL("tasks/tiny-piqa.jsonl", data))).split("\n").slice(0, 24);
  await Deno.writeTextFile(`${folder}/kept.jsonl`, items.join("\n"));
  const rows = (await Deno.readTextFile(new URL("facts/train.jsonl", data))).split("\n").slice(0, 8);
  await Deno.writeTextFile(`${folder}/data.jsonl`, rows.join("\n"));
  const [path, kept] = [`${folder}/data.jsonl`, `${folder}/kept.jsonl`];
  const lost = async (learningRate: number) => {
    const laboratory = new Laboratory(model, { validation: path, kept });
    const settings = { model: "tiny", data: path, method: "lora", rank: 4, targets: "all-linear" };
    const config = { ...settings, learningRate, seed: 1, steps: 4, batchSize: 4 };
    return (await laboratory.measure("run", config, { stopped: () => false }))!.final.tasksLost!;
  };
  assertEquals(await lost(0), 0);
  assert(await lost(1) > 0.1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("Laboratory.measure() of a run on a quantised base measures that base with what it learnt", async () => {
  const gpu = await testDevice();
  using model = await loadModel("tiny", { gpu });
  const facts = new URL("../../data/tiny/facts/validation.jsonl", import.meta.url);
  const data = `${decodeURIComponent(facts.pathname)}[:16]`;
  const laboratory = new Laboratory(model, { validation: data, general: data, spectrum: true });
  const config = {
    ...{ model: "tiny", data, method: "olora", rank: 4, learningRate: 3e-3, seed: 1, steps: 4, batchSize: 4 },
    evaluation: { data, every: 4 },
  };
  const measure = (more: object) =>
    laboratory.measure("run", { ...config, ...more }, { stopped: () => false });
  const [packed, plain] = [(await measure({ quantize: "nf4" }))!, (await measure({}))!];
  assertEquals(packed.final.validation, packed.curve.at(-1)!.loss);
  assert(packed.final.validation! < packed.curve[0].loss);
  assert(packed.final.validation !== plain.final.validation);
  assertEquals([packed.final.divergence, packed.spectrum], [undefined, undefined]);
  assert(plain.final.divergence! > 0 && plain.spectrum);
});

Deno.test("Laboratory.prepare() makes the start that the run will make, once for all seeds", async () => {
  const gpu = await testDevice();
  using model = await loadModel(FOLDER, { gpu });
  const made: AdapterConfig[] = [];
  addMethod({
    ...pissa,
    name: "recorded",
    start(gpu, targets, config) {
      made.push(config);
      return pissa.start(gpu, targets, config);
    },
  });
  const laboratory = new Laboratory(model, { validation: DATA });
  const config = { model: FOLDER, data: DATA, method: "recorded", rank: 2, alpha: 1, iterations: 1 };
  for (const seed of [1, 2]) await laboratory.prepare({ ...config, seed });
  await laboratory.prepare({ ...config, seed: 1, iterations: 2 });
  assertEquals(made.map(({ alpha, iterations }) => [alpha, iterations]), [[1, 1], [1, 2]]);
});

Deno.test("Laboratory.measure() of runs that cut or mask rows otherwise measures each on rows like its own", async () => {
  const gpu = await testDevice();
  using model = await loadModel("tiny", { gpu });
  const facts = new URL("../../data/tiny/facts/validation.jsonl", import.meta.url);
  const data = `${decodeURIComponent(facts.pathname)}[:16]`;
  const laboratory = new Laboratory(model, { validation: data });
  const config = { model: "tiny", data, method: "lora", rank: 2, learningRate: 1e-3, seed: 1, steps: 1 };
  for (const settings of [{}, { seqLen: 8 }, { maskPrompt: false }, {}]) {
    const run = { ...config, ...settings, evaluation: { data, every: 1 } };
    const { final, curve } = (await laboratory.measure("run", run, { stopped: () => false }))!;
    assertEquals(final.validation, curve.at(-1)!.loss, JSON.stringify(settings));
  }
});
