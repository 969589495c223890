import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { generate, type GenerateOptions } from "../../lib/nn/generate.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder } from "../helpers/fixtures.ts";

const PROMPT = [46, 60, 64, 81, 35];

const model = async () => await loadModel(modelFolder("llama_tied")!, { gpu: await testDevice() });

Deno.test("generate() with a repetition penalty gives transformers' text", async () => {
  using base = await model();
  const options = { maxNewTokens: 16, repetitionPenalty: 2, stop: [] };
  // transformers 5.24.0, float64, RepetitionPenaltyLogitsProcessor(2); no choice closer than 0.027.
  assertEquals(
    await Array.fromAsync(generate(base, PROMPT, options)),
    [14, 43, 78, 89, 75, 58, 11, 84, 71, 55, 24, 61, 87, 84, 36, 1],
  );
});

Deno.test("generate() gives the same ids with cached keys as from the whole text each time", async () => {
  using base = await model();
  const options = { repetitionPenalty: 2, stop: [] };
  const plain = await Array.fromAsync(generate(base, PROMPT, { ...options, maxNewTokens: 12 }));
  for (const adapted of [false, true]) {
    using _adapter = adapted
      ? await attach(base, { method: "olora", subtract: false, rank: 4, targets: "all-linear" })
      : undefined;
    const whole = [...PROMPT];
    for (let made = 0; made < 12; made++) {
      whole.push(...await Array.fromAsync(generate(base, whole, { ...options, maxNewTokens: 1 })));
    }
    const cached = await Array.fromAsync(generate(base, PROMPT, { ...options, maxNewTokens: 12 }));
    assertEquals(cached, whole.slice(PROMPT.length));
    assertEquals(cached.join() === plain.join(), !adapted);
  }
});

Deno.test("generate() draws tokens as often as the softmax at its temperature says, and within its cuts", async () => {
  using base = await model();
  const temperature = 0.5;
  const candidates = Array.from({ length: base.config.vocabularySize }, (_, id) => [...PROMPT, id]);
  const nll = (await score(base, candidates)).map((row) => row.at(-1)!);
  const weights = nll.map((x) => Math.exp(-x / temperature));
  const total = weights.reduce((sum, x) => sum + x, 0);
  const first = async (seed: number, options: GenerateOptions) => {
    const [id] = await Array.fromAsync(
      generate(base, PROMPT, { maxNewTokens: 1, stop: [], seed, ...options }),
    );
    return id;
  };
  const likeliest = nll.indexOf(Math.min(...nll));
  const ranked = nll.map((_, id) => id).sort((a, b) => nll[a] - nll[b]);
  const half = ranked.findIndex((_, i) =>
    ranked.slice(0, i + 1).reduce((sum, id) => sum + weights[id], 0) >= total / 2
  );

  const draws = 400;
  let hits = 0;
  for (let seed = 0; seed < draws; seed++) {
    if (await first(seed, { temperature }) === likeliest) hits++;
    if (seed % 8 > 0) continue;
    assert(ranked.slice(0, 3).includes(await first(seed, { temperature: 3, topK: 3 })));
    assert(ranked.slice(0, half + 1).includes(await first(seed, { temperature, topP: 0.5 })));
    assertEquals(await first(seed, { temperature: 3, topK: 1 }), likeliest);
  }
  const p = weights[likeliest] / total;
  assert(p > 0.02 && p < 0.98, `${p} says nothing`);
  assert(Math.abs(hits / draws - p) < 4 * Math.sqrt(p * (1 - p) / draws), `${hits / draws} of ${p}`);
});

Deno.test("generate() is a function of its seed, and ends at a stop token that it does not yield", async () => {
  using base = await model();
  const draw = (seed: number, stop: number[] = []) =>
    Array.fromAsync(generate(base, PROMPT, { maxNewTokens: 12, temperature: 2, seed, stop }));
  const ids = await draw(1);
  assertEquals(await draw(1), ids);
  assert(JSON.stringify(await draw(2)) !== JSON.stringify(ids));
  const at = ids.findIndex((id, i) => i > 2 && ids.indexOf(id) === i);
  assertEquals(await draw(1, [ids[at]]), ids.slice(0, at));
});

Deno.test("generate() ends by default where the tokenizer says that a text ends, and else the model's settings", async () => {
  const options = { maxNewTokens: 12, temperature: 2, seed: 1 };
  const draw = (base: Model, more = {}) => Array.fromAsync(generate(base, PROMPT, { ...options, ...more }));
  using base = await model();
  const ids = await draw(base, { stop: [] });
  const at = ids.findIndex((id, i) => i > 2 && ids.indexOf(id) === i);
  const ended = { ...base.config, eos: [ids[at]] };
  assertEquals(await draw(Object.create(base, { config: { value: ended } })), ids.slice(0, at));
  const first = { value: { eos: [ids[0], ids[at]] } };
  assertEquals(await draw(Object.create(base, { config: { value: ended }, tokenizer: first })), []);
});

Deno.test("generate() refuses options that make no sense, each by its name", async () => {
  using base = await model();
  const refused: [GenerateOptions, string][] = [
    [{ temperature: -1 }, "temperature -1: expected a number >= 0"],
    [{ topK: 1.5 }, "topK 1.5: expected a whole number >= 0"],
    [{ topP: 0 }, "topP 0: expected 0 < topP <= 1"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty 0: expected a number > 0"],
    [{ maxNewTokens: -1 }, "maxNewTokens -1: expected a whole number >= 0"],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => Array.fromAsync(generate(base, PROMPT, options)), RangeError, message);
  }
  await assertRejects(() => Array.fromAsync(generate(base, [])), RangeError, "an empty prompt");
  await assertRejects(() => Array.fromAsync(generate(base, [999])), RangeError, "token id 999");
});
