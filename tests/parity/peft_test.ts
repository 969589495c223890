/** PEFT itself on the other side: what it writes is read here, what is written here is read there. */
import { assert } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { residualModel, toPlainLora } from "../../lib/adapters/convert.ts";
import { findMethod } from "../../lib/adapters/methods.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { readPeftAdapter, writePeftAdapter } from "../../lib/io/peft.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose, furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, fixturePath } from "../helpers/fixtures.ts";
import { requires } from "../helpers/requires.ts";
import { MADE, OURS } from "./peft_cases.ts";
import { askPeft, type PeftRead } from "./peft_peer.ts";
import { inFolder } from "../helpers/folder.ts";

/** Nats: float32 against float32 on models whose logits are of order 10. */
const BOUND = 3e-4;

const python = requires("python");
// Every fixture's vocabulary has at least 53 tokens.
const ids = (await expected("llama_untied")).ids.map((row) => row.map((id) => id % 53));

Deno.test({
  name:
    "loadAdapter() gives PEFT's likelihoods for the adapters that PEFT writes, and PEFT its own for them saved again",
  ignore: python.ignore,
  fn: (t) =>
    inFolder(async (folder) => {
      const base = (name: string) => fixturePath(MADE[name].model ?? "llama_untied");
      const out = (name: string) => `${folder}/${name.replaceAll(/\W+/g, "-")}`;
      const { write } = await askPeft(python.path, {
        ids,
        write: Object.entries(MADE).map(([name, { model: _, ...made }]) => ({
          name,
          base: base(name),
          out: out(name),
          ...made,
        })),
      });
      const gpu = await testDevice();
      const saved: PeftRead[] = [];
      for (const [name, { steps = 0, config }] of Object.entries(MADE)) {
        await t.step(name, async () => {
          using model = await loadModel(base(name), { gpu });
          const before = await score(model, ids);
          const bytes = gpu.liveBytes;
          {
            using adapter = await loadAdapter(model, out(name));
            const found = await score(model, ids);
            found.forEach((row, i) => expectClose(row, write[name][i], BOUND, `row ${i}`));
            const moved = furthest(found, before);
            assert(steps ? moved > 1e-2 : moved < BOUND, `moved by ${moved} nats`);
            if (typeof config.init_lora_weights !== "string") {
              await saveAdapter(adapter, `${out(name)}-again`);
              saved.push({ name, base: base(name), adapter: `${out(name)}-again` });
            }
          }
          if (gpu.liveBytes !== bytes) throw new Error(`${gpu.liveBytes - bytes} bytes left`);
        });
      }
      const { read } = await askPeft(python.path, { ids, read: saved });
      for (const { name } of saved) {
        await t.step(`${name}, saved again`, () => {
          read[name].forEach((row, i) => expectClose(row, write[name][i], BOUND, `row ${i}`));
        });
      }
    }),
});

Deno.test({
  name:
    "saveAdapter(), toPlainLora(), residualModel() and saveModel() write what PEFT and transformers give the same likelihoods for",
  ignore: python.ignore,
  fn: (t) =>
    inFolder(async (folder) => {
      const gpu = await testDevice();
      const base = fixturePath("llama_untied");
      const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
      const ours: Record<string, Float32Array[]> = {};
      const read: PeftRead[] = [];
      using model = await loadModel(base, { gpu });
      const before = await score(model, ids);
      for (const [name, { options, to }] of Object.entries(OURS)) {
        const out = `${folder}/${name.replaceAll(" ", "-")}`;
        const order = batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
        using adapter = await attach(model, {
          ...(to !== "merged" && { targets: "all-linear" }),
          ...(findMethod(options.method!).batches && { batches: [order.next().value!] }),
          ...options,
        });
        using trainer = new Trainer(adapter, order, { steps: 4, learningRate: 1e-2 });
        await Array.fromAsync(trainer.run());
        ours[name] = await score(model, ids);
        if (to === "merged") {
          await saveModel(model, out);
          read.push({ name, base: out });
          continue;
        }
        await saveAdapter(adapter, out);
        if (to === undefined) {
          read.push({ name, base, adapter: out });
          continue;
        }
        const saved = await readPeftAdapter(out);
        if (to === "lora") {
          const start = await readPeftAdapter(`${out}/start`);
          await writePeftAdapter(`${out}/lora`, toPlainLora(saved, start.factors));
          read.push({ name, base, adapter: `${out}/lora` });
        } else {
          using residual = residualModel(adapter);
          await saveModel(residual, `${out}/model`);
          await writePeftAdapter(`${out}/lora`, { ...saved, config: { ...saved.config, init: true } });
          read.push({ name, base: `${out}/model`, adapter: `${out}/lora` });
        }
      }
      const theirs = (await askPeft(python.path, { ids, read })).read;
      for (const name of Object.keys(OURS)) {
        await t.step(name, () => {
          const moved = furthest(ours[name], before);
          assert(moved > 1e-2, `moved by ${moved} nats`);
          theirs[name].forEach((row, i) => expectClose(row, ours[name][i], BOUND, `row ${i}`));
        });
      }
    }),
});
