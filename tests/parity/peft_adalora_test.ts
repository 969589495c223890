/** PEFT's AdaLoRA on the other side: what it saves past its last cut is read here, what is written here is read there. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { layersAsLora } from "../../lib/adapters/layers_as_lora.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { hostTensor } from "../../lib/core/host_tensor.ts";
import { writePeftAdapter } from "../../lib/io/peft.ts";
import { readPeftAdalora, writePeftAdalora } from "../../lib/io/peft_adalora.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { fixturePath, readFixture } from "../helpers/fixtures.ts";
import { requires } from "../helpers/requires.ts";
import { askPeft, type PeftRead } from "./peft_peer.ts";
import { BOUND, type Made, same, thereAndBack, train } from "./peft_there_and_back.ts";
import { inFolder } from "../helpers/folder.ts";

const FOLDER = fixturePath("peft_adalora");
const { ids, nll } = await readFixture<{ ids: number[][]; nll: number[][] }>("peft_adalora/nll.json");
const python = requires("python");

async function load(model = "llama_untied"): Promise<Model> {
  return await loadModel(fixturePath(model), { gpu: await testDevice() });
}

Deno.test("loadAdapter() gives PEFT's likelihoods for the AdaLoRA that PEFT saved past its last cut, and keeps its cuts", () =>
  inFolder(async (folder) => {
    using model = await load();
    const { gpu } = model;
    const live = gpu.liveBytes;
    const base = await score(model, ids);
    {
      using adapter = await loadAdapter(model, FOLDER);
      const { method, rank, alpha, targetRank, initWarmup, finalWarmup, maskInterval, orthogonality } =
        adapter.config;
      assertEquals([method, rank, alpha, targetRank], ["adalora", 4, 6, 1]);
      assertEquals([initWarmup, finalWarmup, maskInterval, orthogonality], [2, 5, 3, 0.5]);
      const found = await score(model, ids);
      same(found, nll, BOUND);
      assert(furthest(found, base) > 1e-2);

      const { rank_pattern: patterns } = JSON.parse(
        await Deno.readTextFile(`${FOLDER}/adapter_config.json`),
      );
      const masks = async () => {
        const read: Record<string, boolean[]> = {};
        for (const [name, mask] of adapter.course!.saved) {
          read[name.replace(/mask$/, "lora_E")] = Array.from(await gpu.read(mask), Boolean);
        }
        return read;
      };
      assertEquals(await masks(), patterns);
      await saveAdapter(adapter, folder);
      const again = JSON.parse(await Deno.readTextFile(`${folder}/adapter_config.json`));
      assertEquals([again.rank_pattern, again.init_r, again.lora_alpha], [patterns, 4, 6]);
      using other = await load();
      using _loaded = await loadAdapter(other, folder);
      same(await score(other, ids), found, 1e-5);

      // A budget is never more than what is left, and what was cut stays zero.
      await train(adapter, 8);
      assert(furthest(await score(model, ids), found) > 1e-2);
      const now = await masks();
      for (const [name, mask] of Object.entries<boolean[]>(patterns)) {
        const { value } = adapter.parameters.get(name.replace(/lora_E$/, "e"))!;
        const e = await gpu.read(value);
        mask.forEach((isLeft, i) => assert(isLeft || e[i] === 0, `${name} ${i}: ${e[i]}, ${now[name]}`));
      }
    }
    assertEquals(gpu.liveBytes, live);
  }));

/** What PEFT is asked to write. */
const MADE: Made = {
  "untrained": { config: { init_r: 4, target_r: 2, total_step: 20 } },
  "past the last cut": {
    config: {
      ...{ init_r: 4, target_r: 2, tinit: 2, tfinal: 5, deltaT: 3, total_step: 20 },
      ...{ lora_alpha: 6, lora_dropout: 0.1, target_modules: "all-linear" },
    },
    steps: 20,
  },
  "in float16, without some layers": {
    config: {
      ...{ init_r: 5, target_r: 1, tinit: 1, tfinal: 3, total_step: 12 },
      ...{ target_modules: "all-linear", exclude_modules: ["o_proj"] },
    },
    steps: 12,
    dtype: "float16",
  },
  "what plain LoRA's settings do not mean here": {
    config: {
      ...{ init_r: 4, target_r: 2, tfinal: 3, total_step: 12 },
      ...{ use_rslora: true, alpha_pattern: { q_proj: 40 } },
    },
    steps: 12,
  },
  "gpt2": {
    model: "gpt2",
    config: { init_r: 4, target_r: 2, tfinal: 3, total_step: 12, target_modules: ["c_attn", "c_proj"] },
    steps: 12,
  },
};

Deno.test({
  name:
    "loadAdapter() gives PEFT's likelihoods for each AdaLoRA that PEFT writes, and PEFT its own for them saved again",
  ignore: python.ignore,
  fn: (t) => thereAndBack(t, python.path, MADE, ids),
});

/** What is written here. */
const OURS: Record<string, AttachOptions> = {
  "as it starts": {},
  "trained": { alpha: 6, targetRank: 2, initWarmup: 1, finalWarmup: 2, maskInterval: 2 },
  "down to one triplet a layer": {
    targetRank: 1,
    maskInterval: 2,
    dropout: 0.1,
    targets: ["q_proj", "up_proj"],
  },
  "with patterns": { alpha: 6, rankPattern: { q_proj: 3 }, alphaPattern: { "layers.1.*": 9 }, targetRank: 2 },
  "with a negative scale": { alpha: -6, targetRank: 2 },
  "cut, and grown again": { alpha: 6, targetRank: 2, maskInterval: 2 },
};

Deno.test({
  name:
    "saveAdapter() writes an adalora, and layersAsLora() makes plain LoRA of it, that PEFT gives the same likelihoods for",
  ignore: python.ignore,
  fn: (t) =>
    inFolder(async (folder) => {
      using model = await load();
      const { gpu } = model;
      const before = await score(model, ids);
      const ours: Record<string, Float32Array[]> = {};
      const read: PeftRead[] = [];
      for (const [name, options] of Object.entries(OURS)) {
        using adapter = await attach(model, {
          method: "adalora",
          rank: 4,
          targets: "all-linear",
          ...options,
        });
        if (name !== "as it starts") await train(adapter, 10);
        if (name === "cut, and grown again") {
          // As between two cuts, where a mask only says what the last one set to zero.
          for (const module of adapter.layers.keys()) {
            const { value } = adapter.parameters.get(`${module}.e`)!;
            gpu.write(value, (await gpu.read(value)).map((e) => e || 0.3));
          }
        }
        ours[name] = await score(model, ids);
        const adapterFolder = `${folder}/${name.replaceAll(" ", "-")}`;
        await saveAdapter(adapter, adapterFolder);
        const { total_step, tinit, tfinal } = JSON.parse(
          await Deno.readTextFile(`${adapterFolder}/adapter_config.json`),
        );
        const plan = name === "trained" ? [10, 1, 2] : name === "as it starts" ? [1, 0, 0] : [10, 1, 3];
        assertEquals([total_step, tinit, tfinal], plan);
        const plain = `${adapterFolder}-lora`;
        await writePeftAdapter(plain, (await layersAsLora(adapterFolder))!);
        const base = fixturePath("llama_untied");
        read.push({ name, base, adapter: adapterFolder }, { name: `${name} as lora`, base, adapter: plain });
        using other = await load();
        using _loaded = await loadAdapter(other, adapterFolder);
        same(await score(other, ids), ours[name], 1e-5);
      }
      const theirs = (await askPeft(python.path, { ids, read })).read;
      for (const name of Object.keys(OURS)) {
        await t.step(name, () => {
          assert(name === "as it starts" || furthest(ours[name], before) > 1e-2);
          same(theirs[name], ours[name], BOUND);
          same(theirs[`${name} as lora`], ours[name], BOUND);
        });
      }
    }),
});

Deno.test("readPeftAdalora() names the field that it cannot match, or that makes no sense", () =>
  inFolder(async (folder) => {
    const json = JSON.parse(await Deno.readTextFile(`${FOLDER}/adapter_config.json`));
    await Deno.copyFile(`${FOLDER}/adapter_model.safetensors`, `${folder}/adapter_model.safetensors`);
    const [key] = Object.keys(json.rank_pattern);
    const pattern = (mask: unknown) => ({ rank_pattern: { ...json.rank_pattern, [key]: mask } });
    const refused: [Record<string, unknown>, string][] = [
      [{ bias: "all" }, 'found bias "all", expected "none" (not supported), as peft_type is ADALORA'],
      [{ modules_to_save: ["lm_head"] }, 'found modules_to_save ["lm_head"], expected it unset'],
      [{ trainable_token_indices: [1] }, "found trainable_token_indices [1], expected it unset"],
      [{ use_dora: true }, "found use_dora true, expected it unset"],
      [{ target_parameters: ["x"] }, 'found target_parameters ["x"]'],
      [{ lora_alpha: -1 }, "found lora_alpha -1, expected a number > 0"],
      [{ lora_dropout: 1 }, "found lora_dropout 1"],
      [{ init_r: 0 }, "found init_r 0, expected a whole number > 0"],
      [{ init_r: 3 }, "found rank_pattern [true"],
      [{ target_r: 5 }, "found target_r 5, expected a whole number from 1 to init_r, 4"],
      [{ tinit: -1 }, "found tinit -1"],
      [{ tfinal: 0.5 }, "found tfinal 0.5"],
      [{ deltaT: 0 }, "found deltaT 0"],
      [{ total_step: null }, "found total_step null"],
      [{ orth_reg_weight: -1 }, "found orth_reg_weight -1"],
      [
        pattern([true, 1, false, false]),
        `found rank_pattern [true,1,false,false] of ${key}, expected 4 of true`,
      ],
      [pattern([true, true, true, true]), "as rank_pattern keeps 4"],
      [{ target_modules: ["v_proj"] }, "is none of its target modules"],
    ];
    for (const [change, says] of refused) {
      await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify({ ...json, ...change }));
      await assertRejects(() => readPeftAdalora(folder), RangeError, says);
    }
    await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify({ ...json, peft_type: "LORA" }));
    assertEquals(await readPeftAdalora(folder), undefined);
  }));

Deno.test("readPeftAdalora() reads back what writePeftAdalora() wrote, bit for bit, and refuses half of a module", () =>
  inFolder(async (folder) => {
    const adapter = (await readPeftAdalora(FOLDER))!;
    await writePeftAdalora(`${folder}/again`, adapter);
    assertEquals(await readPeftAdalora(`${folder}/again`), adapter);
    const [path, found] = [...adapter.modules][0];
    const e = hostTensor([9, 1], Array(9).fill(1));
    await assertRejects(
      () => writePeftAdalora(`${folder}/bad`, { ...adapter, modules: new Map([[path, { ...found, e }]]) }),
      RangeError,
      `module ${path} has lora_E [9, 1], expected [`,
    );
    using model = await load("llama_tied");
    await assertRejects(() => loadAdapter(model, FOLDER), RangeError, `Cannot attach ${FOLDER}: found A [`);
  }));
