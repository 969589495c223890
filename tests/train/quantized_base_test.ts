import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { EPS } from "../helpers/close.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { quantizeModel } from "../../lib/nn/quantize.ts";
import { meanLoss } from "../../lib/train/evaluate.ts";
import { planMemory } from "../../lib/train/memory.ts";
import { evaluationBatches, trainRun } from "../../lib/train/run.ts";
import { checkRunConfig, type RunConfig } from "../../lib/train/run_config.ts";
import type { RunEvent } from "../../lib/train/run_event.ts";
import { run } from "../cli/command_line.ts";
import { testDevice } from "../helpers/device.ts";
import { inFolder } from "../helpers/folder.ts";

const DATA = decodeURIComponent(new URL("../../data/tiny/facts/train.jsonl", import.meta.url).pathname);
const CONFIG: RunConfig = {
  ...{
    model: "tiny",
    data: `${DATA}[:40]`,
    method: "olora",
    rank: 4,
    quantize: "nf4",
  },
  ...{ steps: 4, batchSize: 4, seqLen: 32, learningRate: 3e-3, seed: 3 },
  evaluation: { data: `${DATA}[40:48]`, every: 2 },
};

async function collect(config: RunConfig, most = Infinity, resume = false): Promise<RunEvent[]> {
  const gpu = await testDevice();
  const events: RunEvent[] = [];
  const stopped = () => events.filter(({ loss }) => loss !== undefined).length >= most;
  for await (const event of trainRun(config, { gpu, resume, stopped })) events.push(event);
  return events;
}

const losses = (events: RunEvent[]) => events.flatMap(({ loss }) => loss === undefined ? [] : [loss]);

for (const method of ["olora", "lora-ga"]) {
  Deno.test(`trainRun() of ${method} on a base in nf4, stopped and resumed, gives the bits of a run that was not`, () =>
    inFolder(async (folder) => {
      const config = (out: string) => ({ ...CONFIG, method, out: `${folder}/${out}` });
      const whole = await collect(config("whole"));
      const first = await collect(config("parts"), 2);
      const second = await collect(config("parts"), Infinity, true);
      assertEquals([...losses(first), ...losses(second)], losses(whole));
      const [found, expected] = await Promise.all(
        ["parts", "whole"].map((part) => Deno.readFile(`${folder}/${part}/adapter_model.safetensors`)),
      );
      assertEquals(found, expected);
    }));
}

Deno.test("trainRun() of olora on a base in nf4 writes that base, which with its adapter is what was trained", () =>
  inFolder(async (folder) => {
    const out = `${folder}/out`;
    const last = (await collect({ ...CONFIG, out })).findLast(({ evaluation }) => evaluation !== undefined);
    const gpu = await testDevice();
    using base = await loadModel(`${out}/base`, { gpu });
    const batches = await evaluationBatches(CONFIG.evaluation!.data, CONFIG, base);
    const without = (await meanLoss(base, batches)).mean;
    const { base_model_name_or_path } = JSON.parse(await Deno.readTextFile(`${out}/adapter_config.json`));
    assertEquals(base_model_name_or_path, `${out}/base`);
    using _adapter = await loadAdapter(base, out);
    const tuned = (await meanLoss(base, batches)).mean;
    // The widened blocks are the same numbers, but other kernels add them up.
    const sums = base.config.layers * base.config.mlpWidth;
    assert(
      Math.abs(tuned - last!.evaluation!) < sums * EPS * tuned,
      `${tuned}, trained ${last!.evaluation}`,
    );
    assert(without > tuned + 0.1);
  }));

Deno.test("trainRun() of lora on a quantised base is the training that quantizeModel() and attach() give", async () => {
  const gpu = await testDevice();
  const found = losses(await collect({ ...CONFIG, method: "lora", quantize: "q8_0" }));
  using model = await loadModel("tiny", { gpu });
  using quantized = await quantizeModel(model, "q8_0");
  const { quantize: _, ...plain } = { ...CONFIG, method: "lora" };
  const expected: number[] = [];
  for await (const { loss } of trainRun(plain, { gpu, model: quantized, stopped: () => false })) {
    if (loss !== undefined) expected.push(loss);
  }
  assertEquals(found, expected);
  const wide = losses(await collect(plain));
  assert(wide[0] !== found[0]);
});

Deno.test("trainRun() goes on on a quantised base from the factors of init", () =>
  inFolder(async (folder) => {
    const gpu = await testDevice();
    using model = await loadModel("tiny", { gpu });
    using adapter = await attach(model, { method: "lora", rank: 2, seed: 5 });
    await saveAdapter(adapter, folder);
    const events = await collect({ ...CONFIG, method: "lora", rank: 2, init: folder, quantize: "int8" });
    assertEquals(losses(events).length, 4);
  }));

const FOLDER = decodeURIComponent(new URL("../../data/tiny", import.meta.url).pathname);

/** Bytes planned for a run on batches of that many rows of as many tokens, and those that it took. */
async function memory(rows: number, tokens: number, config: Pick<RunConfig, "method" | "quantize">) {
  const gpu = await testDevice();
  const row = Array.from({ length: tokens + 1 }, (_, i) => i);
  const data = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(data, JSON.stringify({ batches: [Array.from({ length: rows }, () => row)] }));
  const before = gpu.liveBytes;
  gpu.pool.resetPeak();
  const shared = { ...config, rank: 4, targets: "all-linear" };
  for await (const _ of trainRun({ ...shared, model: "tiny", data }, { gpu, stopped: () => false }));
  await Deno.remove(data);
  const plan = await planMemory(FOLDER, { ...shared, batchSize: rows, seqLen: tokens });
  assertEquals(plan.weights + plan.adapter + plan.update, plan.total);
  return { planned: plan.total, used: gpu.pool.peakBytes - before };
}

for (const method of ["olora", "lora"]) {
  Deno.test(`planMemory() knows what packing a base for ${method} takes, and what it saves in training`, async () => {
    const few = await memory(1, 2, { method, quantize: "nf4" });
    assert(Math.abs(few.planned - few.used) < 0.02 * few.used, JSON.stringify(few));
    const [packed, plain] = [
      await memory(4, 32, { method, quantize: "nf4" }),
      await memory(4, 32, { method: "lora" }),
    ];
    const saved = plain.used - packed.used;
    assert(saved > 0 && Math.abs(plain.planned - packed.planned - saved) < 0.02 * saved);
  });
}

Deno.test("planMemory() of a quantised base counts the ranks that patterns give", async () => {
  const training = { method: "olora", rank: 2, batchSize: 4, seqLen: 32, quantize: "nf4" } as const;
  const [plain, wider] = [
    await planMemory(FOLDER, training),
    await planMemory(FOLDER, { ...training, rankPattern: { v_proj: 8 } }),
  ];
  assert(wider.adapter > plain.adapter);
});

Deno.test("planMemory() counts a model that stays beside its quantised copy", async () => {
  const training = { method: "lora", rank: 4, batchSize: 4, seqLen: 32, quantize: "nf4" } as const;
  const [alone, beside, plain] = await Promise.all([
    planMemory(FOLDER, training),
    planMemory(FOLDER, { ...training, keepsModel: true }),
    planMemory(FOLDER, { method: "lora", rank: 4, batchSize: 4, seqLen: 32 }),
  ]);
  assertEquals(beside.weights, alone.weights + plain.weights);
  assertEquals(beside.total, alone.total + plain.weights);
});

Deno.test("checkRunConfig() refuses what has no meaning on a quantised base", () => {
  const cases: [Partial<RunConfig>, string][] = [
    [{ quantize: "nf3" as "nf4" }, 'Cannot train with quantize "nf3": expected one of nf4, int8, q8_0, q4_0'],
    [{ method: "full" }, 'expected a method with an adapter, as "full" trains the weights themselves'],
    [{ freeze: "B" }, "expected no freeze with olora, as its start is taken out of the base"],
    [{ method: "pissa", subtract: false }, "expected no subtract with pissa"],
    [{ keep: "orthonormal" }, "expected no keep with olora"],
    [{ method: "loftq", init: "x" }, "expected no init"],
    [{ method: "loftq", quantize: undefined }, 'Cannot train with method "loftq": expected quantize with it'],
  ];
  for (const [change, message] of cases) {
    assertThrows(() => checkRunConfig({ ...CONFIG, ...change }), RangeError, message);
  }
  checkRunConfig({ ...CONFIG, method: "lora", freeze: "A" });
});

Deno.test("trainRun() refuses to quantise a base that lies on a grid already", async () => {
  const gpu = await testDevice();
  using model = await loadModel("tiny", { gpu });
  using quantized = await quantizeModel(model, "nf4");
  const run = trainRun({ ...CONFIG, method: "lora" }, { gpu, model: quantized, stopped: () => false });
  await assertRejects(() => Array.fromAsync(run), TypeError, "got nf4, expected f32, f16 or bf16");
});

Deno.test("olora train refuses a format that it does not know, in one line", async () => {
  const { code, stderr } = await run(
    ...["train", "--model", "tiny", "--data", DATA, "--out", "out/none", "--quantize", "nf3"],
  );
  assertEquals([code, stderr.split("\n").filter((line) => line.startsWith("error: "))], [1, [
    'error: Cannot train with quantize "nf3": expected one of nf4, int8, q8_0, q4_0',
  ]]);
});
