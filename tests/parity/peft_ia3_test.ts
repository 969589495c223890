/** PEFT's IA³ on the other side: what it saves is read here as flora of rank 1, what is written here is read there. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { readPeftIa3, writePeftIa3 } from "../../lib/io/peft_ia3.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath, readFixture } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { requires } from "../helpers/requires.ts";
import { askPeft, type PeftRead } from "./peft_peer.ts";
import { BOUND, type Made, same, thereAndBack, train } from "./peft_there_and_back.ts";

const FOLDER = fixturePath("peft_ia3");
const { ids, nll } = await readFixture<{ ids: number[][]; nll: number[][] }>("peft_ia3/nll.json");
const python = requires("python");

async function load(model = "llama_untied"): Promise<Model> {
  return await loadModel(fixturePath(model), { gpu: await testDevice() });
}

Deno.test("loadAdapter() gives PEFT's likelihoods for the IA³ that PEFT saved, trains the same vectors on, and saves them bit for bit", () =>
  inFolder(async (folder) => {
    using model = await load();
    const { gpu } = model;
    const live = gpu.liveBytes;
    const base = await score(model, ids);
    const ia3 = (await readPeftIa3(FOLDER))!;
    {
      using adapter = await loadAdapter(model, FOLDER);
      const { method, rank, freeze } = adapter.config;
      assertEquals([method, rank, freeze], ["flora", 1, "B"]);
      const numbers = [...ia3.modules.values()].map(({ scales }) => scales.shape[0] * scales.shape[1]);
      assertEquals(adapter.trainable, numbers.reduce((sum, count) => sum + count));
      const found = await score(model, ids);
      same(found, nll, BOUND);
      assert(furthest(found, base) > 1e-2);
      await saveAdapter(adapter, folder);
      assertEquals((await readPeftIa3(folder))!.modules, ia3.modules);
      await train(adapter, 2);
      assert(furthest(await score(model, ids), found) > 1e-3);
    }
    assertEquals(gpu.liveBytes, live);
  }));

/** What PEFT is asked to write. */
const MADE: Made = {
  "untrained": { config: { target_modules: ["k_proj", "down_proj"], feedforward_modules: ["down_proj"] } },
  "by regular expressions": {
    config: { target_modules: ".*\\.(v_proj|up_proj|down_proj)", feedforward_modules: ".*1\\.mlp\\.\\w+" },
    steps: 8,
  },
  "all outputs, in float16": {
    config: { target_modules: "all-linear", exclude_modules: ["o_proj"], feedforward_modules: [] },
    steps: 8,
    dtype: "float16",
  },
  "all inputs, by the end of a name": {
    config: { target_modules: ["q_proj", "gate_proj"], feedforward_modules: ["q_proj", "gate_proj"] },
    steps: 8,
  },
  "gpt2's inputs, whose layers have biases": {
    model: "gpt2",
    config: { target_modules: ["c_attn", "c_proj"], feedforward_modules: ["c_attn", "c_proj"] },
    steps: 8,
  },
};

Deno.test({
  name:
    "loadAdapter() gives PEFT's likelihoods for each IA³ that PEFT writes, and PEFT its own for them saved again",
  ignore: python.ignore,
  fn: (t) => thereAndBack(t, python.path, MADE, ids),
});

/** What is written here. */
const OURS: Record<string, AttachOptions> = {
  "outputs": { freeze: "B" },
  "inputs": { freeze: "A", targets: ["q_proj", "down_proj"] },
  "both": { freeze: "B", targets: ["k_proj", "v_proj", "down_proj"], feedforward: ["down_proj"] },
  "one layer's inputs": {
    freeze: "B",
    targets: ["v_proj", "down_proj"],
    feedforward: ["model.layers.1.mlp.down_proj"],
  },
};

Deno.test({
  name: "saveAdapter() writes a flora with a frozen factor as IA³ that PEFT gives the same likelihoods for",
  ignore: python.ignore,
  fn: (t) =>
    inFolder(async (folder) => {
      using model = await load();
      const before = await score(model, ids);
      const ours: Record<string, Float32Array[]> = {};
      const read: PeftRead[] = [];
      for (const [name, options] of Object.entries(OURS)) {
        using adapter = await attach(model, { method: "flora", rank: 1, ...options });
        assertEquals(await score(model, ids), before);
        await train(adapter, 8);
        ours[name] = await score(model, ids);
        const out = `${folder}/${name.replaceAll(/\W/g, "-")}`;
        await saveAdapter(adapter, out);
        read.push({ name, base: fixturePath("llama_untied"), adapter: out });
        using other = await load();
        using loaded = await loadAdapter(other, out);
        assertEquals(loaded.trainable, adapter.trainable);
        assertEquals(await score(other, ids), ours[name]);
      }
      const theirs = (await askPeft(python.path, { ids, read })).read;
      for (const name of Object.keys(OURS)) {
        await t.step(name, () => {
          assert(furthest(ours[name], before) > 1e-2);
          same(theirs[name], ours[name], BOUND);
        });
      }
    }),
});

Deno.test("saveAdapter() keeps a flora that PEFT has no IA³ for in the kit's own form: outputs before a bias, two factors", () =>
  inFolder(async (folder) => {
    using model = await load("qwen2");
    for (const [i, options] of [{ rank: 1, freeze: "B" }, { rank: 1 }].entries()) {
      using adapter = await attach(model, { method: "flora", ...options } as AttachOptions);
      await saveAdapter(adapter, `${folder}/${i}`);
      assertEquals(await readPeftIa3(`${folder}/${i}`), undefined);
      using other = await load("qwen2");
      using loaded = await loadAdapter(other, `${folder}/${i}`);
      assertEquals(loaded.config, { ...adapter.config, targets: loaded.config.targets });
    }
    const { modules } = (await readPeftIa3(FOLDER))!;
    const config = { targetModules: ["k_proj"], feedforwardModules: [], baseModel: undefined };
    const outputs = new Map([...modules].filter(([path]) => path.endsWith("k_proj")));
    await writePeftIa3(`${folder}/biased`, { config, modules: outputs });
    await assertRejects(
      () => loadAdapter(model, `${folder}/biased`),
      RangeError,
      "Cannot attach IA³ to model.layers.0.self_attn.k_proj: found a bias, which PEFT scales with the outputs",
    );
  }));

Deno.test("readPeftIa3() names the field that it cannot match, or that makes no sense", () =>
  inFolder(async (folder) => {
    const json = JSON.parse(await Deno.readTextFile(`${FOLDER}/adapter_config.json`));
    await Deno.copyFile(`${FOLDER}/adapter_model.safetensors`, `${folder}/adapter_model.safetensors`);
    const refused: [Record<string, unknown>, string][] = [
      [
        { modules_to_save: ["lm_head"] },
        'found modules_to_save ["lm_head"], expected it unset (not supported)',
      ],
      [
        { feedforward_modules: 3 },
        "found feedforward_modules 3, expected a list of names or a regular expression",
      ],
      [{ feedforward_modules: "*" }, 'found feedforward_modules "*"'],
      [{ feedforward_modules: [] }, "has ia3_l [1, "],
      [
        { feedforward_modules: ["k_proj", "down_proj"] },
        "expected that of its inputs by feedforward_modules",
      ],
      [{ target_modules: ["k_proj"] }, "is none of its target modules"],
      [{ target_modules: 3 }, "found target_modules 3"],
    ];
    for (const [change, says] of refused) {
      await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify({ ...json, ...change }));
      await assertRejects(() => readPeftIa3(folder), RangeError, says);
    }
    await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify({ ...json, peft_type: "LORA" }));
    assertEquals(await readPeftIa3(folder), undefined);
    using model = await load("llama_tied");
    await assertRejects(() => loadAdapter(model, FOLDER), RangeError, "Cannot attach IA³ to ");
  }));
