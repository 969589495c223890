import { Tape } from "../autograd/tape.ts";
import { Rng } from "../core/rng.ts";
import { matvec } from "../ops/matvec.ts";
import { KeyValueCache } from "./cache.ts";
import { decode, headWeight } from "./decoder.ts";
import type { Model } from "./model.ts";
import { uploadPositions } from "./positions.ts";

/** How to continue a text. */
export interface GenerateOptions {
  /** Most tokens to add. Default 128. */
  maxNewTokens?: number;
  /** Divides the logits; 0 takes the likeliest token each time. Default 0. */
  temperature?: number;
  /** Only the `topK` likeliest tokens; 0 for all. Default 0. */
  topK?: number;
  /** Only the likeliest tokens that together have this probability. Default 1. */
  topP?: number;
  /** Divides the positive logits of tokens in the text so far, and multiplies the negative ones. Default 1. */
  repetitionPenalty?: number;
  /** Seed of the draws. Default 0. */
  seed?: number;
  /** Ids that end the text and are not yielded. Default: the model's. */
  stop?: readonly number[];
}

/**
 * Continues `prompt` token by token, with keys and values cached; ends at a stop token, after `maxNewTokens`, or when
 * the model's context is full.
 *
 * Sampling: the repetition penalty (Keskar et al. 2019, arXiv:1909.05858, §4.1; for logits of either sign as
 * transformers has it), temperature, then the `topK` likeliest, then the nucleus of probability `topP` (Holtzman et al.
 * 2019, arXiv:1904.09751), in float64 on the host.
 *
 * @param prompt Token ids, at least one.
 * @throws {RangeError} If an option makes no sense, or the prompt is empty or longer than the context.
 */
export async function* generate(
  model: Model,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number> {
  const { maxNewTokens, seed, stop, ...settings } = checked(model, prompt, options);
  const { gpu, config } = model;
  const capacity = Math.min(config.context, prompt.length + maxNewTokens);
  using cache = new KeyValueCache(gpu, config, capacity);
  const rng = new Rng(seed, "generate");
  const seen = new Set(prompt);
  let ids = prompt;
  for (let made = 0; made < maxNewTokens && cache.length < capacity; made++) {
    const logits = gpu.keep(gpu.scope(() => lastLogits(model, ids, cache)));
    const values = await gpu.read(logits);
    logits.dispose();
    const id = pick(values, seen, settings, () => rng.uniform());
    if (stop.includes(id)) return;
    yield id;
    seen.add(id);
    ids = [id];
  }
}

/** Logits after the last of `ids`, f32 `[1, v]`, which continue what `cache` holds. */
function lastLogits(model: Model, ids: readonly number[], cache: KeyValueCache) {
  const { gpu, config } = model;
  const t = ids.length;
  const tape = new Tape(gpu, { gradients: false });
  const changes = model.changes;
  const uploaded = gpu.upload(Uint32Array.from(ids), [t]);
  const positions = uploadPositions(gpu, model, { b: 1, t, start: cache.length });
  const hidden = decode(tape, model, { b: 1, t, ids: uploaded, cache, ...positions }, changes);
  const last = gpu.tensor([1, config.width]);
  gpu.copyRange(hidden.value, (t - 1) * config.width, last);
  return matvec(gpu, last, headWeight(model, changes).value);
}

type Sampling = Required<Pick<GenerateOptions, "temperature" | "topK" | "topP" | "repetitionPenalty">>;

function pick(
  logits: Float32Array,
  seen: ReadonlySet<number>,
  { temperature, topK, topP, repetitionPenalty }: Sampling,
  uniform: () => number,
): number {
  if (repetitionPenalty !== 1) {
    for (const id of seen) logits[id] *= logits[id] > 0 ? 1 / repetitionPenalty : repetitionPenalty;
  }
  return temperature === 0 ? largest(logits) : sample(logits, temperature, topK, topP, uniform());
}

function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The token at `uniform` of the cumulative distribution, likeliest first. */
function sample(
  logits: Float32Array,
  temperature: number,
  topK: number,
  topP: number,
  uniform: number,
): number {
  const top = logits[largest(logits)];
  let rows = Array.from(logits, (logit, id) => ({ id, weight: Math.exp((logit - top) / temperature) }));
  rows.sort((x, y) => y.weight - x.weight || x.id - y.id);
  if (topK > 0) rows = rows.slice(0, topK);
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  let mass = 0;
  const kept = rows.findIndex(({ weight }) => (mass += weight) >= topP * total) + 1 || rows.length;
  rows = rows.slice(0, kept);
  const target = uniform * rows.reduce((sum, { weight }) => sum + weight, 0);
  let passed = 0;
  return (rows.find(({ weight }) => (passed += weight) > target) ?? rows[rows.length - 1]).id;
}

function checked(
  model: Model,
  prompt: readonly number[],
  options: GenerateOptions,
): Required<GenerateOptions> {
  const whole = {
    maxNewTokens: 128,
    temperature: 0,
    topK: 0,
    topP: 1,
    repetitionPenalty: 1,
    seed: 0,
    stop: model.tokenizer?.eos ?? model.config.eos,
    ...options,
  };
  const refuse = (what: string, expected: string): never => {
    throw new RangeError(`Cannot generate with ${what}: expected ${expected}`);
  };
  const isCount = (x: number) => Number.isSafeInteger(x) && x >= 0;
  if (!prompt.length) refuse("an empty prompt", "at least one token");
  if (prompt.length > model.config.context) {
    refuse(`a prompt of ${prompt.length} tokens`, `at most ${model.config.context}, the model's context`);
  }
  const bad = prompt.find((id) => !isCount(id) || id >= model.config.vocabularySize);
  if (bad !== undefined) refuse(`token id ${bad}`, `0 <= id < ${model.config.vocabularySize}`);
  if (!isCount(whole.maxNewTokens)) refuse(`maxNewTokens ${whole.maxNewTokens}`, "a whole number >= 0");
  if (!(whole.temperature >= 0)) refuse(`temperature ${whole.temperature}`, "a number >= 0");
  if (!isCount(whole.topK)) refuse(`topK ${whole.topK}`, "a whole number >= 0");
  if (!(whole.topP > 0 && whole.topP <= 1)) refuse(`topP ${whole.topP}`, "0 < topP <= 1");
  if (!(whole.repetitionPenalty > 0 && whole.repetitionPenalty < Infinity)) {
    refuse(`repetitionPenalty ${whole.repetitionPenalty}`, "a number > 0");
  }
  return whole;
}
