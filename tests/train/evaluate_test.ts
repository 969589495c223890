import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { Rng } from "../../lib/core/rng.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { decoder, type Weights } from "../../lib/reference/decoder.ts";
import { klDivergence } from "../../lib/reference/kl_divergence.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { generate } from "../../lib/nn/generate.ts";
import { score } from "../../lib/nn/score.ts";
import {
  choiceLogLikelihoods,
  choiceScore,
  meanDivergence,
  meanLoss,
  multipleChoice,
} from "../../lib/train/evaluate.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder, referenceModel } from "../helpers/fixtures.ts";
import { referenceAdapters } from "../helpers/reference_adapter.ts";

/** What the project promises of the nats of a token: the parity tests hold it to 3e-5. */
const NLL = 3e-5;

const [B, T] = [3, 7];
const gpu = await testDevice();
const model = await loadModel(modelFolder("llama_untied")!, { gpu });
const reference = await referenceModel(modelFolder("llama_untied")!);

/** Batches of random tokens; the last tokens of the rows, and one row of the second batch, are not predicted. */
const data = [1, 2].map((seed) => {
  const rng = new Rng(seed, "divergence");
  const ids = Uint32Array.from({ length: B * T }, () => rng.below(reference.config.v));
  const targets = Int32Array.from(ids, (_, i) => i % T === T - 1 || (seed === 2 && i < T) ? -1 : ids[i + 1]);
  return { shape: [B, T] as const, ids, targets, count: targets.filter((target) => target >= 0).length };
});

/** Logits of the float64 decoder, `[b t, v]`. */
function logits(weights: Weights, at: number, adapters = {}): Float64Array {
  const { d, v } = reference.config;
  const ids = Int32Array.from(data[at].ids);
  const { hidden } = decoder(weights, reference.config, { b: B, t: T, ids }, adapters);
  return matmul(hidden, weights["lm_head.weight"], { m: B * T, n: v, k: d }, "nt");
}

/** Mean divergence in float64, and Σ|p − q| over the vocabulary, which says how much errors of logits weigh. */
function expectedDivergence(tuned: (at: number) => Float64Array): { mean: number; distance: number } {
  const { v } = reference.config;
  let [sum, distance, count] = [0, 0, 0];
  data.forEach(({ targets }, at) => {
    const [x, y] = [logits(reference.weights, at), tuned(at)];
    sum += klDivergence(x, y, targets, { n: B * T, v }).reduce((a, b) => a + b, 0);
    targets.forEach((target, row) => {
      if (target < 0) return;
      count++;
      const [p, q] = [x, y].map((rows) => {
        const powers = rows.subarray(row * v, (row + 1) * v).map(Math.exp);
        const total = powers.reduce((a, b) => a + b, 0);
        return powers.map((power) => power / total);
      });
      distance += p.reduce((total, value, i) => total + Math.abs(value - q[i]), 0);
    });
  });
  return { mean: sum / count, distance: distance / count };
}

for (const method of ["olora", "lora"]) {
  Deno.test(`meanDivergence() of ${method} is 0 at the start, and that of float64 once it has moved`, async () => {
    using adapter = await attach(model, { method, rank: 2, alpha: 4, targets: "all-linear" });
    const { mean: loss, tokens } = await meanLoss(model, data);
    assertEquals(await meanDivergence(model, data), { mean: 0, loss, tokens });
    const rng = new Rng(5, method);
    for (const name of adapter.parameters.names) {
      const { value } = adapter.parameters.get(name)!;
      gpu.write(value, (await gpu.read(value)).map((x) => x + 0.1 * rng.normal()));
    }
    const adapters = await referenceAdapters(adapter);
    const { mean, distance } = expectedDivergence((at) => logits(reference.weights, at, adapters));
    assert(mean > 1e-3, `${mean} nats`);
    const moved = await meanDivergence(model, data);
    expectClose([moved.mean], [mean], 2 * NLL * distance, "mean divergence");
    assertEquals(moved.loss, (await meanLoss(model, data)).mean);
    assertEquals((await meanDivergence(model, data, { changes: null })).mean, 0);
    adapter.detach();
    assertEquals((await meanDivergence(model, data)).mean, 0);
    expectClose(
      [(await meanDivergence(model, data, { changes: adapter })).mean],
      [mean],
      2 * NLL * distance,
      "of an adapter that is given",
    );
  });
}

Deno.test("meanDivergence() of full fine-tuning compares the head and embedding that are trained with the base's", async () => {
  using adapter = await attach(model, { method: "full" });
  assertEquals((await meanDivergence(model, data)).mean, 0);
  const rng = new Rng(6, "full");
  const weights: Weights = {};
  for (const name of adapter.parameters.names) {
    const { value } = adapter.parameters.get(name)!;
    const moved = (await gpu.read(value)).map((x) => x + 0.02 * rng.normal());
    gpu.write(value, moved);
    weights[name] = Float64Array.from(moved);
  }
  const { mean, distance } = expectedDivergence((at) => logits(weights, at));
  assert(mean > 1e-3, `${mean} nats`);
  expectClose([(await meanDivergence(model, data)).mean], [mean], 2 * NLL * distance, "mean divergence");
});

Deno.test("meanDivergence() and meanLoss() of nothing predicted are NaN, and free what they take", async () => {
  const live = gpu.liveBytes;
  using adapter = await attach(model, { method: "lora", rank: 1 });
  const held = gpu.liveBytes;
  const blank = { ...data[0], targets: new Int32Array(B * T).fill(-1), count: 0 };
  for (const batches of [[], [blank]]) {
    assertEquals(await meanDivergence(model, batches), { mean: NaN, loss: NaN, tokens: 0 });
    assertEquals(await meanLoss(model, batches), { mean: NaN, tokens: 0 });
  }
  await meanDivergence(model, data);
  assertEquals(gpu.liveBytes, held);
  adapter[Symbol.dispose]();
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Looking at full fine-tuning leaves no gradient for its next update", async () => {
  using adapter = await attach(model, { method: "full" });
  const rows = data.map(({ ids }) => [...ids.subarray(0, T)]);
  const choices = rows.map((ids) => ({ ids, mask: ids.map(() => true) }));
  await meanLoss(model, data);
  await meanDivergence(model, data);
  await multipleChoice(model, [{ task: "t", answer: 0, choices, bytes: [T, T], characters: [T, T] }]);
  await score(model, rows);
  for await (const _ of generate(model, rows[0], { maxNewTokens: 2 }));
  assert((await gpu.read(adapter.parameters.gradient)).every((x) => x === 0));
});

Deno.test("choiceScore() counts by log-likelihood, per byte and per character, with standard errors", () => {
  const item = (answer: number, bytes: number[], characters: number[]) => ({
    ...{ task: "t", answer, bytes, characters },
    choices: bytes.map(() => ({ ids: [1, 2], mask: [false, true] })),
  });
  const items = [item(0, [1, 4], [1, 2]), item(1, [1, 4], [1, 2]), item(1, [1, 4], [1, 2])];
  const score = choiceScore(items, [[-2, -3], [-2, -3], [-2, -5]]);
  assertEquals([score.accuracy, score.normalized, score.perCharacter, score.items], [1 / 3, 2 / 3, 1 / 3, 3]);
  // √(p (1 − p) / (n − 1)) = 1/3 for a third or two of three.
  for (const error of Object.values(score.standardErrors)) assertAlmostEquals(error, 1 / 3, 1e-15);
  assertEquals(choiceScore(items.slice(0, 1), [[-2, -3]]).standardErrors.accuracy, NaN);
});

Deno.test("choiceLogLikelihoods() cuts the beginning off a sequence that is longer than the context", async () => {
  const { context, vocabularySize } = model.config;
  const long = Array.from({ length: context + 9 }, (_, i) => (7 * i + 3) % vocabularySize);
  const last = (ids: number[]) => ({ ids, mask: ids.map((_, i) => i >= ids.length - 2) });
  const choices = [last(long), last(long.slice(-context - 1)), last(long.slice(-context))];
  const item = { task: "t", answer: 0, choices, bytes: [1, 1, 1], characters: [1, 1, 1] };
  const [[cut, whole, shorter]] = await choiceLogLikelihoods(model, [item]);
  assert(
    Math.abs(cut - whole) < 4 * 2 ** -24 * Math.abs(whole),
    "rows of a batch may be summed in another order",
  );
  assert(Math.abs(cut - shorter) > 1e-4);
});
