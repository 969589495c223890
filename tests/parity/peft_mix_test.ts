/** PEFT's add_weighted_adapter beside combine(). */
import { assert } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { combine } from "../../lib/adapters/combine.ts";
import { saveAdapter } from "../../lib/adapters/save.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, fixturePath } from "../helpers/fixtures.ts";
import { requires } from "../helpers/requires.ts";
import { askPeft, type PeftMixed } from "./peft_peer.ts";

/** Nats: float32 against float32 on models whose logits are of order 10, as in peft_test.ts. */
const BOUND = 3e-4;

const PARTS: AttachOptions[] = [
  { method: "lora", rank: 3, alpha: 5, targets: "all-linear", seed: 1 },
  { method: "lora", rank: 2, alpha: 6, targets: ["q_proj", "up_proj"], seed: 2 },
];
const WEIGHTS = [0.75, -1.5];

const python = requires("python");

Deno.test({
  name:
    'combine() gives the likelihoods of PEFT\'s "cat", to a rank of its "svd", and not those of its "linear"',
  ignore: python.ignore,
  async fn(t) {
    const folder = await Deno.makeTempDir();
    const { ids } = await expected("llama_untied");
    const base = fixturePath("llama_untied");
    using model = await loadModel(base, { gpu: await testDevice() });
    const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
    const adapters: Adapter[] = [];
    for (const [i, options] of PARTS.entries()) {
      const adapter = await attach(model, options);
      using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
        steps: 4,
        learningRate: 1e-2,
      });
      await Array.fromAsync(trainer.run());
      await saveAdapter(adapter, `${folder}/${i}`);
      adapters.push(adapter);
    }
    // PEFT's "linear" wants adapters of one rank.
    const twice = { adapters: [`${folder}/0`, `${folder}/0`], weights: [1, 1] };
    const mixed = { base, adapters: [`${folder}/0`, `${folder}/1`], weights: WEIGHTS };
    const mix: PeftMixed[] = [
      { name: "cat", type: "cat", ...mixed },
      { name: "svd", type: "svd", rank: 2, ...mixed },
      { name: "linear", type: "linear", base, ...twice },
    ];
    const theirs = (await askPeft(python.path, { ids, mix })).mix;
    const ours = async (parts: Adapter[], weights: number[], rank?: number) => {
      using _sum = await combine(parts, weights, rank === undefined ? {} : { rank });
      return await score(model, ids);
    };
    const furthest = (x: readonly Float32Array[], y: readonly ArrayLike<number>[]) =>
      Math.max(...x.flatMap((row, i) => [...row].map((value, j) => Math.abs(value - y[i][j]))));
    const sum = await ours(adapters, WEIGHTS);
    const cut = await ours(adapters, WEIGHTS, 2);
    await t.step("cat", () => sum.forEach((row, i) => expectClose(row, theirs.cat[i], BOUND, `row ${i}`)));
    await t.step("svd", () => cut.forEach((row, i) => expectClose(row, theirs.svd[i], BOUND, `row ${i}`)));
    await t.step("a rank that is too low for the sum, and the factors' sum, are something else", async () => {
      assert(furthest(cut, sum) > 10 * BOUND);
      assert(furthest(await ours([adapters[0], adapters[0]], [1, 1]), theirs.linear) > 10 * BOUND);
    });
    for (const adapter of adapters) adapter[Symbol.dispose]();
    await Deno.remove(folder, { recursive: true });
  },
});
