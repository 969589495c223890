import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { combine } from "../../lib/adapters/combine.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { bound, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, expected, modelFolder } from "../helpers/fixtures.ts";

const { ids } = await expected("llama_untied");
const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_untied")!, { gpu: await testDevice() });
}

async function trained(model: Model, options: AttachOptions, seed = 0): Promise<Adapter> {
  const adapter = await attach(model, options);
  using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed }), {
    steps: 3,
    learningRate: 1e-2,
  });
  await Array.fromAsync(trainer.run());
  return adapter;
}

/** dW of `module` and Σ|terms| of it, from the factors in float64. */
async function change({ model: { gpu }, branches }: Adapter, module: string) {
  const branch = branches.get(module);
  if (!branch) return undefined;
  const [out, r] = branch.b.value.shape;
  const width = branch.a.value.shape[1];
  const pairs = [{ a: await gpu.read(branch.a.value), b: await gpu.read(branch.b.value), sign: 1 }];
  const { start } = branch;
  if (start) pairs.push({ a: await gpu.read(start.a), b: await gpu.read(start.b), sign: -1 });
  const [value, magnitude] = [new Float64Array(out * width), new Float64Array(out * width)];
  for (const { a, b, sign } of pairs) {
    for (let at = 0; at < out * width; at++) {
      for (let k = 0; k < r; k++) {
        const term = sign * branch.scale * b[Math.floor(at / width) * r + k] * a[k * width + at % width];
        value[at] += term;
        magnitude[at] += Math.abs(term);
      }
    }
  }
  return { value, magnitude };
}

Deno.test("combine() adds the weighted changes, touches none of its parts, and leaves no memory behind", async () => {
  using model = await load();
  const { gpu } = model;
  using olora = await trained(model, { method: "olora", rank: 3, alpha: 2, targets: "all-linear" });
  const alone = await score(model, ids);
  using lora = await trained(model, { method: "lora", rank: 2, alpha: 6, targets: ["q_proj"] }, 1);
  const weights = [0.5, -2];
  const bytes = gpu.liveBytes;
  {
    using sum = await combine([olora, lora], weights);
    assertEquals(model.changes, sum);
    assertEquals(sum.branches.size, olora.branches.size);
    for (const module of sum.branches.keys()) {
      const parts = [await change(olora, module), await change(lora, module)];
      const total = await change(sum, module);
      const value = total!.value.map((_, at) =>
        parts.reduce((x, part, i) => x + weights[i] * (part?.value[at] ?? 0), 0)
      );
      const magnitude = total!.value.map((_, at) =>
        parts.reduce((x, part, i) => x + Math.abs(weights[i]) * (part?.magnitude[at] ?? 0), 0)
      );
      expectClose(total!.value, value, bound(4, magnitude), module);
    }
  }
  assertEquals(gpu.liveBytes, bytes);
  olora.reattach();
  assertEquals(await score(model, ids), alone);
});

Deno.test("combine() of one adapter, or with another at weight 0, is that adapter; of untrained ones the base", async () => {
  using model = await load();
  const base = await score(model, ids);
  using first = await trained(model, { method: "olora", rank: 4, targets: "all-linear" });
  const alone = await score(model, ids);
  using fresh = await attach(model, { method: "pissa", rank: 3 });
  using _one = await combine([first]);
  (await score(model, ids)).forEach((row, i) => expectClose(row, alone[i], 1e-5, `row ${i}`));
  using _weighted = await combine([fresh, first], [0, 1]);
  (await score(model, ids)).forEach((row, i) => expectClose(row, alone[i], 1e-5, `row ${i}`));
  using _none = await combine([fresh]);
  assertEquals(await score(model, ids), base);
});

Deno.test("combine() makes an adapter that is saved and loaded as any other, of unequal ranks and above min(out, in)", async () => {
  using model = await load();
  using first = await trained(model, { method: "olora", rank: 7, targets: "all-linear" });
  using second = await trained(model, { method: "lora", rank: 2, targets: ["k_proj"] });
  using sum = await combine([first, second]);
  const stacked = await score(model, ids);
  const k = [...sum.branches].find(([module]) => module.endsWith("k_proj"))![1];
  assertEquals(k.a.value.shape[0], 16);
  assert(k.b.value.shape[0] < 16);
  const folder = await Deno.makeTempDir();
  await saveAdapter(sum, folder);
  using _loaded = await loadAdapter(model, folder);
  (await score(model, ids)).forEach((row, i) => expectClose(row, stacked[i], 1e-5, `row ${i}`));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("combine() to a rank leaves of the sum what its singular values beyond that rank are, and all where there are none", async () => {
  using model = await load();
  using olora = await trained(model, { method: "olora", rank: 3, targets: "all-linear" });
  using lora = await trained(model, { method: "lora", rank: 2, alpha: 6, targets: ["q_proj", "k_proj"] }, 1);
  const weights = [0.5, -2];
  using exact = await combine([olora, lora], weights);
  for (const rank of [2, 7, 100]) {
    using adapter = await combine([olora, lora], weights, { rank });
    for (const [module, { b }] of adapter.branches) {
      const [out, found] = b.value.shape;
      const { value, magnitude } = (await change(exact, module))!;
      const n = value.length / out;
      const total = module.match(/[qk]_proj$/) ? 8 : 6;
      assertEquals(found, Math.min(rank, total, out, n));
      const kept = (await change(adapter, module))!;
      const { s } = svd(value, { m: out, n });
      const left = Math.hypot(...value.map((x, at) => x - kept.value[at]));
      const rounding = Math.hypot(...bound(total, magnitude), ...bound(found, kept.magnitude));
      expectClose([left], [Math.hypot(...s.subarray(found))], rounding, `${module} at rank ${rank}`);
    }
  }
});

Deno.test("combine() of full fine-tuning gives W + Σ w (Wᵢ − W), of layers or of all weights", async () => {
  using model = await load();
  const { gpu } = model;
  const base = await score(model, ids);
  using first = await trained(model, { method: "full", targets: ["q_proj", "o_proj"] });
  const alone = await score(model, ids);
  using second = await trained(model, { method: "full", targets: ["o_proj", "up_proj"] }, 1);
  using all = await trained(model, { method: "full" }, 2);
  const bytes = gpu.liveBytes;
  for (const [adapters, weights] of [[[first, second], [0.5, -2]], [[first, all], [1, 0.25]]] as const) {
    using sum = await combine(adapters, weights);
    const names = new Set(adapters.flatMap(({ parameters }) => parameters.names));
    assertEquals(new Set(sum.parameters.names), names);
    for (const name of names) {
      const w = await gpu.read(model.weights.get(name)!);
      const value = Float64Array.from(w);
      for (const [i, { parameters }] of adapters.entries()) {
        const trained = parameters.get(name);
        if (trained) {
          (await gpu.read(trained.value)).forEach((x, at) => value[at] += weights[i] * (x - w[at]));
        }
      }
      expectClose(await gpu.read(sum.parameters.get(name)!.value), value, bound(1, value), name);
    }
  }
  assertEquals(gpu.liveBytes, bytes);
  {
    using _one = await combine([first]);
    (await score(model, ids)).forEach((row, i) => expectClose(row, alone[i], 1e-5, `row ${i}`));
    using _none = await combine([first, all], [0, 0]);
    assertEquals(await score(model, ids), base);
  }
});

Deno.test("combine() refuses what cannot be added", async () => {
  using model = await load();
  using other = await load();
  using first = await attach(model, {});
  using elsewhere = await attach(other, {});
  using dora = await attach(model, { method: "dora" });
  using full = await attach(model, { method: "full", targets: ["o_proj"] });
  const refusals: [Adapter[], number[] | undefined, string][] = [
    [[], undefined, "no adapters: expected at least one"],
    [[first], [1, 2], "weights [1,2]: expected one number for each"],
    [[first], [NaN], "expected one number for each"],
    [[first, elsewhere], undefined, "adapters of several models: expected one model"],
    [[first, dora], undefined, "an adapter with a magnitude: expected adapters that are added to the base"],
    [[first, full], undefined, "full fine-tuning with low-rank adapters: expected adapters of one kind"],
  ];
  for (const [adapters, weights, message] of refusals) {
    await assertRejects(() => combine(adapters, weights), RangeError, message);
  }
  await assertRejects(
    () => combine([first], [1], { rank: 0 }),
    RangeError,
    "Cannot combine adapters to rank 0: expected a whole number >= 1",
  );
  await assertRejects(
    () => combine([full], [1], { rank: 4 }),
    RangeError,
    "Cannot combine full fine-tuning to rank 4: expected no rank, as whole weights are kept",
  );
});
