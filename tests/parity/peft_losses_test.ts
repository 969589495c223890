/** README's table of what PEFT loses and this kit does not: a step for each row, with PEFT's side measured. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { toPlainLora } from "../../lib/adapters/convert.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { readPeftAdapter, writePeftAdapter } from "../../lib/io/peft.ts";
import { openSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, fixturePath } from "../helpers/fixtures.ts";
import { requires } from "../helpers/requires.ts";
import { runPython } from "./peft_peer.ts";

const python = requires("python");
const ids = [[1, 5, 9, 13, 2, 40, 7], [3, 3, 8, 20]];
const OLORA = { method: "olora", rank: 4, targets: "all-linear" } as const;

/** Differences in nats, and what PEFT said. */
interface Losses {
  disabled: number;
  unloaded: number;
  second: number;
  bfloat16: number;
  converted: { head: boolean; trained: number[][] };
  magnitudes: { reloaded: number; trained: number[][] };
  patterns: string;
  conv1d: string;
  rank: { declared: number; rows: number };
  direction: number[];
  reloaded: number;
  gradients: { reloaded: number; trained: number[][] };
}

async function load(folder: string): Promise<Model> {
  return await loadModel(folder, { gpu: await testDevice() });
}

/** Three steps away from the start. */
async function train(adapter: Awaited<ReturnType<typeof attach>>): Promise<void> {
  const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
  const order = batches(data, { batchSize: 1, seqLen: 1, seed: 0 });
  using trainer = new Trainer(adapter, order, { steps: 3, learningRate: 1e-2 });
  await Array.fromAsync(trainer.run());
}

/** A copy of a model whose matrices are rounded to bf16. */
async function inBfloat16(from: string, to: string): Promise<string> {
  await Deno.mkdir(to);
  await Deno.copyFile(`${from}/config.json`, `${to}/config.json`);
  using file = await openSafetensors(`${from}/model.safetensors`);
  const tensors = new Map<string, ReturnType<typeof hostTensor>>();
  for (const [name, { shape }] of file.tensors) {
    tensors.set(name, hostTensor(shape, toFloat32(await file.read(name)), "bf16"));
  }
  await writeSafetensors(`${to}/model.safetensors`, tensors);
  return to;
}

Deno.test({
  name: "README.md: what PEFT loses, and that it is kept here",
  ignore: python.ignore,
  async fn(t) {
    const folder = await Deno.makeTempDir();
    const [llama, gpt2] = [fixturePath("llama_untied"), fixturePath("gpt2")];
    const peft = await runPython(python.path, "./peft_losses.py", {
      llama,
      gpt2,
      ids,
      out: folder,
    }) as Losses;
    using model = await load(llama);
    const base = await score(model, ids);

    await t.step("the adapter switched off or taken off is not the base: attach(), detach()", async () => {
      assert(peft.disabled > 0.1 && peft.unloaded > 0.1, `${peft.disabled}, ${peft.unloaded}`);
      using adapter = await attach(model, OLORA);
      await train(adapter);
      assertEquals(await score(model, ids, { changes: null }), base);
      adapter.detach();
      assertEquals(await score(model, ids), base);
    });

    await t.step("a second olora starts from what the first left: attach() again", async () => {
      assert(peft.second > 0.1, `${peft.second}`);
      using first = await attach(model, OLORA);
      await train(first);
      using second = await attach(model, OLORA);
      assertEquals(model.changes, second);
      (await score(model, ids)).forEach((row, i) => assertEquals(row, base[i]));
    });

    await t.step("on a bfloat16 base the start is off by the rounding of W_res: attach()", async () => {
      assert(peft.bfloat16 > 1e-3, `${peft.bfloat16}`);
      using half = await load(await inBfloat16(llama, `${folder}/half`));
      const before = await score(half, ids);
      using _adapter = await attach(half, OLORA);
      assertEquals(await score(half, ids), before);
    });

    await t.step("conversion drops modules_to_save: toPlainLora() keeps them", async () => {
      assertEquals(peft.converted.head, false);
      using adapter = await loadAdapter(model, `${folder}/kept`);
      await saveAdapter(adapter, `${folder}/kept-again`);
      const start = (await readPeftAdapter(`${folder}/kept-again/start`)).factors;
      const plain = toPlainLora(await readPeftAdapter(`${folder}/kept-again`), start);
      await writePeftAdapter(`${folder}/kept-plain`, plain);
      using _plain = await loadAdapter(model, `${folder}/kept-plain`);
      const { trained } = peft.converted;
      (await score(model, ids)).forEach((row, i) => expectClose(row, trained[i], 3e-4, `row ${i}`));
    });

    await t.step("conversion drops DoRA's magnitudes: toPlainLora() keeps them", async () => {
      const { reloaded, trained } = peft.magnitudes;
      assert(reloaded > 0.01, `${reloaded}`);
      await assertRejects(
        () => loadAdapter(model, `${folder}/dora-converted`),
        RangeError,
        "has no lora_magnitude_vector, expected one of",
      );
      using adapter = await loadAdapter(model, `${folder}/dora`);
      await saveAdapter(adapter, `${folder}/dora-again`);
      const start = (await readPeftAdapter(`${folder}/dora-again/start`)).factors;
      const plain = toPlainLora(await readPeftAdapter(`${folder}/dora-again`), start);
      await writePeftAdapter(`${folder}/dora-plain`, plain);
      using _plain = await loadAdapter(model, `${folder}/dora-plain`);
      (await score(model, ids)).forEach((row, i) => expectClose(row, trained[i], 3e-4, `row ${i}`));
    });

    await t.step("rslora with patterns is not converted: toPlainLora()", async () => {
      assertMatch(peft.patterns, /ValueError: .*rank_pattern.*use_rslora/);
      const saved = await readPeftAdapter(`${folder}/rs-own`);
      using adapter = await loadAdapter(model, `${folder}/rs-own`);
      await train(adapter);
      const trained = await score(model, ids);
      await saveAdapter(adapter, `${folder}/rs-trained`);
      const now = await readPeftAdapter(`${folder}/rs-trained`);
      const start = (await readPeftAdapter(`${folder}/rs-trained/start`)).factors;
      const { config } = saved;
      await writePeftAdapter(`${folder}/rs-plain`, toPlainLora({ config, factors: now.factors }, start));
      using _plain = await loadAdapter(model, `${folder}/rs-plain`);
      (await score(model, ids)).forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}`));
    });

    await t.step("GPT-2's Conv1D is taken for its transpose: attach()", async () => {
      assertMatch(peft.conv1d, /RuntimeError: .*shapes cannot be multiplied/);
      using other = await load(gpt2);
      const before = await score(other, ids);
      using _adapter = await attach(other, { method: "olora", rank: 4, targets: ["c_attn"] });
      assertEquals(await score(other, ids), before);
    });

    await t.step("a rank beyond min(out, in) is declared and not there: attach()", async () => {
      assert(peft.rank.rows < peft.rank.declared, JSON.stringify(peft.rank));
      await assertRejects(
        () => attach(model, { method: "olora", rank: 64, targets: ["k_proj"] }),
        RangeError,
        "expected rank <= min(out, in) = 12",
      );
    });

    await t.step("a row of zeros has no direction: attach() of dora", async () => {
      assertEquals(peft.direction, [3]);
      using other = await load(llama);
      const weight = other.weights.get("model.layers.0.self_attn.q_proj.weight")!;
      const [, width] = weight.shape;
      other.gpu.write(weight, (await other.gpu.read(weight)).fill(0, 3 * width, 4 * width));
      const before = await score(other, ids);
      using adapter = await attach(other, { ...OLORA, method: "dora" });
      assertEquals(await score(other, ids), before);
      await train(adapter);
      assert(
        (await score(other, ids)).every((row, i) =>
          row.every((nats, t) => nats > 0 && nats !== before[i][t])
        ),
      );
    });

    await t.step("pissa_niter_[k] is loaded with another random start: loadAdapter()", async () => {
      assert(peft.reloaded > 0.01, `${peft.reloaded}`);
      await assertRejects(() => loadAdapter(model, `${folder}/niter`), RangeError, "and no start/");
    });

    await t.step(
      "lora_ga is loaded on the base that its start was not taken out of: loadAdapter()",
      async () => {
        const { reloaded, trained } = peft.gradients;
        assert(reloaded > 0.1, `${reloaded}`);
        await assertRejects(
          () => loadAdapter(model, `${folder}/ga`),
          RangeError,
          "expected there what PEFT saved before training, as its start came from gradients; or what PEFT makes of it",
        );
        await Deno.rename(`${folder}/ga-start`, `${folder}/ga/start`);
        using adapter = await loadAdapter(model, `${folder}/ga`);
        assertEquals(adapter.config.method, "lora-ga");
        (await score(model, ids)).forEach((row, i) => expectClose(row, trained[i], 3e-4, `row ${i}`));
      },
    );

    await Deno.remove(folder, { recursive: true });
  },
});
