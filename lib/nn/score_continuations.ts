import { crossEntropyRule } from "../autograd/rules.ts";
import { constant, Tape, type Variable } from "../autograd/tape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { checkIds, embedding } from "../ops/embedding.ts";
import type { Past } from "./cache.ts";
import { type Changes, decode, headWeight } from "./decoder.ts";
import type { Model } from "./model.ts";
import { uploadPositions } from "./positions.ts";
import type { ScoreOptions } from "./score.ts";

/** A sequence and which of its tokens count. */
export interface CountedRow {
  /** Token ids. */
  readonly ids: readonly number[];
  /** Whether the prediction of that token counts; the first one's does not. */
  readonly mask: readonly boolean[];
}

/**
 * Nats of the tokens that count of each row, summed in float64. The rows of a group may begin alike, as the choices of one
 * question do: the tokens that all of them share before the first that counts are run once, and logits are computed where a
 * token counts and nowhere else. By rounding the same as {@linkcode score} of each row by itself.
 *
 * Own construction: groups of like length are run together; what a group shares beyond the least that one of them does is run
 * for each row. Keys and values of the shared part are handed to the rows by a gather.
 *
 * @param groups Rows of each group, none longer than the model's context + 1.
 * @param options `batchTokens` is 1024 by default.
 * @returns One number for each row of each group.
 * @throws {RangeError} If an id is outside the vocabulary, or a row longer than that.
 */
export async function scoreContinuations(
  model: Model,
  groups: readonly (readonly CountedRow[])[],
  options: ScoreOptions = {},
): Promise<number[][]> {
  const { batchTokens = 1024, onProgress } = options;
  const changes = options.changes === undefined ? model.changes : options.changes ?? undefined;
  const out = groups.map((rows) => rows.map(() => 0));
  const order = groups.map((rows, place) => ({ rows, place }))
    .filter(({ rows }) => rows.some(({ mask }) => mask.includes(true, 1)))
    .map((group) => ({ ...group, shared: sharedTokens(group.rows), longest: longestOf(group.rows) }))
    .sort((x, y) => y.longest - x.longest);
  for (const { rows } of order) for (const row of rows) check(model, row);
  let done = groups.length - order.length;
  while (order.length) {
    const batch = order.splice(0, fitting(order, batchTokens));
    const shared = Math.min(...batch.map(({ shared }) => shared));
    const sums = await run(model, batch.map(({ rows }) => rows), shared, changes);
    for (const { rows, place } of batch) out[place] = sums.splice(0, rows.length);
    onProgress?.(done += batch.length);
  }
  return out;
}

/** Tokens that can be run once for all of `rows`: those before the last one that they have in common before any counts. */
function sharedTokens(rows: readonly CountedRow[]): number {
  const [first, ...others] = rows;
  let n = 0;
  while (
    n < first.ids.length && rows.every(({ mask }) => !mask[n]) &&
    others.every(({ ids }) => ids[n] === first.ids[n])
  ) n++;
  return Math.max(0, n - 1);
}

/** How many of the first groups make a batch of `batchTokens`, of which the first has the longest row; at least one. */
function fitting(
  groups: readonly { rows: readonly CountedRow[]; shared: number; longest: number }[],
  batchTokens: number,
): number {
  let [rows, shared] = [0, Infinity];
  const excess = groups.findIndex((group, i) => {
    rows += group.rows.length;
    shared = Math.min(shared, group.shared);
    return Math.max((i + 1) * shared, rows * (groups[0].longest - 1 - shared)) > batchTokens;
  });
  return excess < 0 ? groups.length : Math.max(1, excess);
}

function longestOf(rows: readonly CountedRow[]): number {
  return Math.max(...rows.map(({ ids }) => ids.length));
}

/** Sums of the rows of `groups`, all of whose first `shared` tokens are the same within a group. */
async function run(
  model: Model,
  groups: readonly (readonly CountedRow[])[],
  shared: number,
  changes: Changes | undefined,
): Promise<number[]> {
  const { gpu } = model;
  const rows = groups.flat();
  const t = longestOf(rows) - 1 - shared;
  const beginnings = new Map<string, { place: number; ids: readonly number[] }>();
  const beginningOf = groups.flatMap((group) => {
    const ids = group[0].ids.slice(0, shared);
    const key = ids.join();
    const found = beginnings.get(key) ?? { place: beginnings.size, ids };
    beginnings.set(key, found);
    return group.map(() => found.place);
  });
  const ids = new Uint32Array(rows.length * t);
  const counted: { row: number; at: number; target: number }[] = [];
  rows.forEach((each, row) => {
    for (let i = shared; i + 1 < each.ids.length; i++) {
      const at = row * t + i - shared;
      ids[at] = each.ids[i];
      if (each.mask[i + 1]) counted.push({ row, at, target: each.ids[i + 1] });
    }
  });
  const nll = gpu.scope(() => {
    const tape = new Tape(gpu, { gradients: false });
    const upload = (values: ArrayLike<number>) => gpu.upload(Uint32Array.from(values), [values.length]);
    const input = (b: number, t: number, start: number, ids: ArrayLike<number>) => ({
      b,
      t,
      ids: upload(ids),
      ...uploadPositions(gpu, model, { b, t, start }),
    });
    const first = shared &&
      input(beginnings.size, shared, 0, [...beginnings.values()].flatMap(({ ids }) => ids));
    const rest = input(rows.length, t, shared, ids);
    const places = upload(counted.map(({ at }) => at));
    const targets = gpu.upload(Int32Array.from(counted, ({ target }) => target), [counted.length]);
    const from = shared ? upload(gathered(beginningOf, beginnings.size, shared, t)) : undefined;
    const cache = from && new SharedPast(gpu, from);
    if (first && cache) decode(tape, model, { ...first, cache }, changes);
    const hidden = decode(tape, model, { ...rest, ...(cache && { cache }) }, changes);
    const scored = constant(embedding(gpu, places, hidden.value));
    const head = headWeight(model, changes);
    return tape.keep(tape.apply(crossEntropyRule, [scored, head], { targets, scale: 1 })[0]);
  });
  const values = await gpu.read(nll);
  nll.dispose();
  const sums = rows.map(() => 0);
  counted.forEach(({ row }, i) => sums[row] += values[i]);
  return sums;
}

/** For each row the places of its beginning's tokens and of its own, where the own stand behind all beginnings. */
function gathered(
  beginningOf: readonly number[],
  beginnings: number,
  shared: number,
  t: number,
): Uint32Array {
  const s = shared + t;
  return Uint32Array.from({ length: beginningOf.length * s }, (_, i) => {
    const [row, at] = [Math.floor(i / s), i % s];
    return at < shared ? beginningOf[row] * shared + at : (beginnings - 1) * shared + row * t + at;
  });
}

/**
 * Keys and values of beginnings: copied as they are run, since a tape frees what a layer made, then put before those of the rows
 * that go on from them. A layer's rows are freed when the next layer asks for its own.
 */
class SharedPast implements Past {
  length = 0;
  readonly #gpu: Gpu;
  readonly #from: Tensor;
  readonly #beginnings: Tensor[][] = [];
  #joined: Tensor[] = [];

  /** @param from Places that each row's keys have among those of all beginnings and then all rows, u32. */
  constructor(gpu: Gpu, from: Tensor) {
    [this.#gpu, this.#from] = [gpu, from];
  }

  extend(layer: number, k: Variable, v: Variable): [Variable, Variable] {
    if (this.length === 0) {
      this.#beginnings[layer] = [k, v].map(({ value }) => this.#copy(value));
      return [k, v];
    }
    for (const tensor of this.#joined) tensor.dispose();
    this.#joined = [k, v].map(({ value }, i) => this.#join(this.#beginnings[layer][i], value));
    return [constant(this.#joined[0]), constant(this.#joined[1])];
  }

  #copy(rows: Tensor): Tensor {
    const copy = this.#gpu.tensor(rows.shape);
    this.#gpu.copy(rows, copy);
    return copy;
  }

  #join(beginnings: Tensor, rows: Tensor): Tensor {
    const gpu = this.#gpu;
    using all = gpu.tensor([beginnings.shape[0] + rows.shape[0], rows.shape[1]]);
    gpu.copy(beginnings, all);
    gpu.copy(rows, all, beginnings.size);
    return embedding(gpu, this.#from, all);
  }
}

function check({ config: { context, vocabularySize } }: Model, { ids }: CountedRow): void {
  checkIds("scoreContinuations", ids, vocabularySize);
  if (ids.length > context + 1) {
    throw new RangeError(
      `Cannot run ${ids.length - 1} tokens: expected at most ${context}, the model's context`,
    );
  }
}
