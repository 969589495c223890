import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { combine } from "../../lib/adapters/combine.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { wholeWeightSettings } from "../../lib/adapters/whole_weights.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";

const gpu = await testDevice();
const ids = [[1, 5, 9, 13, 2, 40, 7], [3, 3, 8, 20]];

/** The weight called `name` as it is in the base. */
async function baseWeight({ weights }: Model, name: string) {
  const weight = weights.get(name)!;
  return hostTensor(weight.shape, await gpu.read(weight));
}

async function train(adapter: Adapter): Promise<void> {
  const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
  const order = batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
  using trainer = new Trainer(adapter, order, { steps: 3, learningRate: 1e-2 });
  await Array.fromAsync(trainer.run());
}

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";
const NORM = "model.norm.weight";

for (const names of [[NORM], [EMBEDDING], [EMBEDDING, NORM, "model.layers.0.mlp.up_proj.weight"]]) {
  Deno.test(`attach() with weights starts at the base, trains ${names.join(", ")}, and all of it is saved and merged`, () =>
    inFolder(async (folder) => {
      using model = await loadModel(fixturePath("llama_tied"), { gpu });
      const base = await score(model, ids);
      const live = gpu.liveBytes;
      {
        const weights = new Map(
          await Promise.all(names.map(async (name) => [name, await baseWeight(model, name)] as const)),
        );
        using plain = await attach(model, { method: "lora", rank: 2 });
        using adapter = await attach(model, { method: "lora", rank: 2, weights });
        const whole = names.reduce((sum, name) => sum + model.weights.get(name)!.size, 0);
        assertEquals([adapter.trainable - plain.trainable, adapter.wholeWeights], [whole, names]);
        assertEquals(await score(model, ids), base);
        await train(adapter);
        for (const name of names) {
          const moved = await gpu.read(adapter.weight(name)!.value);
          assert(toFloat32(weights.get(name)!).some((x, i) => x !== moved[i]), name);
        }
        const trained = await score(model, ids);
        await saveAdapter(adapter, `${folder}/adapter`);
        await saveModel(model, `${folder}/merged`);
        using _loaded = await loadAdapter(model, `${folder}/adapter`);
        assertEquals(await score(model, ids), trained);
        using merged = await loadModel(`${folder}/merged`, { gpu });
        (await score(merged, ids)).forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}`));
        assertEquals(merged.config.tiedEmbeddings, !names.includes(EMBEDDING));
      }
      assertEquals(await score(model, ids), base);
      assertEquals(gpu.liveBytes, live);
    }));
}

Deno.test("attach() puts rows of tokens in place of the base's, also in a head that is tied", async () => {
  using model = await loadModel(fixturePath("llama_tied"), { gpu });
  const [, width] = model.weights.get(EMBEDDING)!.shape;
  const rows = hostTensor([2, width], Array.from({ length: 2 * width }, (_, i) => i / width));
  using adapter = await attach(model, { weights: new Map([[EMBEDDING, { ids: [4, 2], rows }]]) });
  const expected = toFloat32(await baseWeight(model, EMBEDDING));
  expected.set(toFloat32(rows).subarray(0, width), 4 * width);
  expected.set(toFloat32(rows).subarray(width), 2 * width);
  for (const name of [EMBEDDING, HEAD]) {
    assertEquals(await gpu.read(adapter.weight(name)!.value), expected, name);
  }
});

Deno.test("saveModel() merges a bias of B into the layer's, and refuses it where the layer has none", () =>
  inFolder(async (folder) => {
    using model = await loadModel(fixturePath("qwen2"), { gpu });
    for (const [target, fails] of [["q_proj", false], ["o_proj", true]] as const) {
      const init = new Map(
        [...model.weights].flatMap(([name, { shape: [out, width] }]) =>
          name.endsWith(`${target}.weight`)
            ? [
              [name.slice(0, -".weight".length), {
                a: hostTensor([1, width], Array(width).fill(0.1)),
                b: hostTensor([out, 1], Array(out).fill(0.1)),
                bias: hostTensor(
                  [out],
                  Array.from({ length: out }, (_, i) => 0.1 * i),
                ),
              }] as const,
            ]
            : []
        ),
      );
      using _adapter = await attach(model, { method: "lora", rank: 1, alpha: 3, targets: [target], init });
      if (fails) {
        await assertRejects(
          () => saveModel(model, folder),
          RangeError,
          "Cannot merge model.layers.0.self_attn.o_proj: its adapter has a bias (lora_bias), expected none",
        );
        continue;
      }
      await saveModel(model, folder);
      const attached = await score(model, ids);
      using merged = await loadModel(folder, { gpu });
      (await score(merged, ids)).forEach((row, i) => expectClose(row, attached[i], 1e-5, `row ${i}`));
    }
  }));

Deno.test("attach() and combine() refuse weights that cannot be", async () => {
  using model = await loadModel(fixturePath("llama_tied"), { gpu });
  const one = hostTensor([1], [1]);
  const wide = hostTensor([1, 1], [1]);
  const { shape: [rows, width] } = model.weights.get(EMBEDDING)!;
  const row = hostTensor([1, width], Array(width).fill(1));
  const live = gpu.liveBytes;
  const refusals: [AttachOptions["weights"], string][] = [
    [new Map([["model.nrom.weight", one]]), "Cannot attach weight model.nrom.weight: found no such weight"],
    [new Map([[NORM, one]]), `Cannot attach weight ${NORM}: found [1], expected [${width}]`],
    [new Map([[EMBEDDING, { ids: [0], rows: wide }]]), "found rows of 1, expected a matrix"],
    [new Map([[EMBEDDING, { ids: [rows], rows: row }]]), `found row ${rows}, expected rows below ${rows}`],
  ];
  for (const [weights, message] of refusals) {
    await assertRejects(() => attach(model, { weights: weights! }), RangeError, message);
    assertEquals(gpu.liveBytes, live);
  }
  const weights = new Map([[NORM, await baseWeight(model, NORM)]]);
  await assertRejects(() => attach(model, { method: "full", weights }), RangeError, "for full fine-tuning");
  using adapter = await attach(model, { weights });
  await assertRejects(() => combine([adapter]), RangeError, "an adapter with weights or biases of its own");
});

Deno.test("wholeWeightSettings() says which biases and modules PEFT has to read", () => {
  const modules = new Set(["x.q", "x.k"]);
  assertEquals(wholeWeightSettings([], modules), {});
  assertEquals(wholeWeightSettings(["x.q.bias"], modules), { bias: "lora_only" });
  assertEquals(wholeWeightSettings(["x.q.bias", "x.v.bias"], modules), { bias: "all" });
  assertEquals(wholeWeightSettings(["n.weight", "n.bias", "x.k.bias"], modules), {
    bias: "lora_only",
    modulesToSave: ["n"],
  });
});
