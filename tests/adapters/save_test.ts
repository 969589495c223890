import { assert, assertEquals } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { findMethod } from "../../lib/adapters/methods.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, modelFolder } from "../helpers/fixtures.ts";

interface Case {
  options: AttachOptions;
  /** Settings of the folder's adapter_config.json. */
  stored: Record<string, unknown>;
  /** Method and rank that it is attached as again. */
  again: [string, number];
}

const CASES: Case[] = [
  {
    options: { method: "olora", rank: 3, alpha: 2 },
    stored: { r: 3, lora_alpha: 2, init_lora_weights: "olora" },
    again: ["olora", 3],
  },
  {
    options: { method: "olora", rank: 3, alpha: 2, balance: 2, freeze: "B" },
    stored: { r: 3, lora_alpha: 2, init_lora_weights: "olora" },
    again: ["olora", 3],
  },
  {
    options: { method: "olora", rank: 2, alpha: 3, basis: "pivoted" },
    stored: { r: 4, lora_alpha: 6, init_lora_weights: true },
    again: ["lora", 4],
  },
  {
    options: { method: "olora", rank: 2, subtract: false },
    stored: { r: 2, init_lora_weights: true },
    again: ["lora", 2],
  },
  {
    options: { method: "pissa", rank: 3, alpha: 6 },
    stored: { r: 3, init_lora_weights: "pissa" },
    again: ["pissa", 3],
  },
  {
    options: { method: "rslora", rank: 4, alpha: 2 },
    stored: { r: 4, use_rslora: true, init_lora_weights: true },
    again: ["rslora", 4],
  },
  {
    options: { method: "pissa", rank: 3, iterations: 2 },
    stored: { r: 6, init_lora_weights: true },
    again: ["lora", 6],
  },
  {
    options: { method: "milora", rank: 3, alpha: 6 },
    stored: { r: 6, lora_alpha: 12, init_lora_weights: true },
    again: ["lora", 6],
  },
  {
    options: { method: "lora-ga", rank: 3, alpha: 6 },
    stored: { r: 6, lora_alpha: 12, init_lora_weights: true },
    again: ["lora", 6],
  },
  {
    options: { method: "lora-ga", rank: 3, alpha: 6, magnitude: true },
    stored: { r: 6, use_dora: true, init_lora_weights: true },
    again: ["dora", 6],
  },
  {
    options: { method: "eva", rank: 3, alpha: 6 },
    stored: { r: 3, lora_alpha: 6, init_lora_weights: "eva" },
    again: ["eva", 3],
  },
  {
    options: { method: "orthogonal", rank: 2 },
    stored: { r: 2, init_lora_weights: "orthogonal" },
    again: ["orthogonal", 2],
  },
  {
    options: { method: "mica", rank: 3, alpha: 6 },
    stored: { r: 3, init_lora_weights: "mica" },
    again: ["mica", 3],
  },
  { options: { method: "lora-fa", rank: 3 }, stored: { r: 3, init_lora_weights: true }, again: ["lora", 3] },
  {
    options: { method: "dora", rank: 3, alpha: 6, dropout: 0.1 },
    stored: { r: 3, use_dora: true, init_lora_weights: true },
    again: ["dora", 3],
  },
  {
    options: { method: "olora", rank: 3, alpha: 2, magnitude: true },
    stored: { r: 3, use_dora: true, init_lora_weights: "olora" },
    again: ["olora", 3],
  },
  {
    options: { method: "pissa", rank: 3, iterations: 2, magnitude: true },
    stored: { r: 6, use_dora: true, init_lora_weights: true },
    again: ["dora", 6],
  },
  { options: { method: "lora+", rank: 3 }, stored: { r: 3, init_lora_weights: true }, again: ["lora", 3] },
];

for (const { options, stored, again: [method, rank] } of CASES) {
  Deno.test(`saveAdapter() and loadAdapter() keep the function of ${JSON.stringify(options)}`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(modelFolder("llama_untied")!, { gpu });
    const { ids } = await expected("llama_untied");
    const base = await score(model, ids);
    const folder = await Deno.makeTempDir();
    {
      const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
      const order = batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
      const looks = findMethod(options.method!).batches;
      using adapter = await attach(model, {
        ...{ ...options, targets: "all-linear" },
        ...(looks && { batches: [order.next().value!] }),
      });
      using trainer = new Trainer(adapter, order, { steps: 3, learningRate: 1e-2 });
      await Array.fromAsync(trainer.run());
      await saveAdapter(adapter, folder);
      const trained = await score(model, ids);
      assert(trained.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-2)));
      const config = JSON.parse(await Deno.readTextFile(`${folder}/adapter_config.json`));
      for (const [name, value] of Object.entries(stored)) assertEquals(config[name], value, name);
      using other = await loadModel(modelFolder("llama_untied")!, { gpu });
      using loaded = await loadAdapter(other, folder);
      assertEquals([loaded.config.method, loaded.config.rank], [method, rank]);
      const read = await score(other, ids);
      read.forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}`));
    }
    await Deno.remove(folder, { recursive: true });
  });
}
