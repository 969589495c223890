import { Rng } from "../core/rng.ts";
import type { TokenRow } from "./encode.ts";
import type { Dataset } from "./load.ts";

/** Sequences of one step, padded on the right to the longest. */
export interface Batch {
  /** Token ids, `[b, t]`; padding is 0. */
  readonly ids: Uint32Array<ArrayBuffer>;
  /** The token to predict at each place, `[b, t]`: the next id, or -1 where nothing counts. */
  readonly targets: Int32Array<ArrayBuffer>;
  /** `[b, t]`. */
  readonly shape: readonly [number, number];
  /** Targets that count. */
  readonly count: number;
  /** Number of this batch plus one: where to start to go on after it. */
  readonly position: number;
}

/** How rows become batches for training. */
export interface BatchOptions {
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Longest sequence, predicted positions. */
  readonly seqLen: number;
  /** Seed of the order. */
  readonly seed: number;
  /** Batches already used: the stream goes on behind them. Default 0. */
  readonly position?: number;
}

/**
 * Batches for training. Every epoch is a new order of all sequences, drawn from `seed` and the epoch's number
 * alone, and batches run on over the ends of epochs, so all are full and each sequence is seen equally often.
 * `text` is joined end to end and cut into sequences of exactly `seqLen`; attention reaches over the borders of
 * the texts inside one. `batches` are given in their order, once, and the other options are ignored.
 *
 * @throws {RangeError} If there is no sequence, or one is longer than `seqLen`.
 */
export function* batches(dataset: Dataset, options: BatchOptions): Generator<Batch, void> {
  let position = options.position ?? 0;
  if (dataset.kind === "batches") {
    for (; position < dataset.groups.length; position++) {
      yield collate(dataset.groups[position], position + 1);
    }
    return;
  }
  const { batchSize, seqLen, seed } = options;
  const rows = sequences(dataset, seqLen, false);
  let order: readonly TokenRow[] = [];
  let ordered = -1;
  for (; true; position++) {
    const batch: TokenRow[] = [];
    for (let i = position * batchSize; i < (position + 1) * batchSize; i++) {
      const epoch = Math.floor(i / rows.length);
      if (epoch !== ordered) {
        order = new Rng(seed, `order of epoch ${epoch}`).shuffle(rows);
        ordered = epoch;
      }
      batch.push(order[i % rows.length]);
    }
    yield collate(batch, position + 1);
  }
}

/**
 * All sequences once, in their order, for evaluation; the last batch may be smaller.
 *
 * @param options `limit` is the number of sequences to stop after; default all.
 * @throws {RangeError} As {@linkcode batches}.
 */
export function* batchesInOrder(
  dataset: Dataset,
  options: { readonly batchSize: number; readonly seqLen: number; readonly limit?: number },
): Generator<Batch, void> {
  const { batchSize, seqLen, limit } = options;
  const rows = dataset.kind === "batches"
    ? dataset.groups.flat().slice(0, limit)
    : sequences(dataset, seqLen, true).slice(0, limit);
  for (let at = 0; at < rows.length; at += batchSize) {
    yield collate(rows.slice(at, at + batchSize), at / batchSize + 1);
  }
}

/** Rows, each a sequence, as one batch of their own. */
export function collate(rows: readonly TokenRow[], position = 0): Batch {
  const t = Math.max(...rows.map(({ ids }) => ids.length)) - 1;
  const ids = new Uint32Array(rows.length * t);
  const targets = new Int32Array(rows.length * t).fill(-1);
  let count = 0;
  rows.forEach((row, b) => {
    for (let i = 0; i + 1 < row.ids.length; i++) {
      ids[b * t + i] = row.ids[i];
      if (!row.mask[i + 1]) continue;
      targets[b * t + i] = row.ids[i + 1];
      count++;
    }
  });
  return { ids, targets, shape: [rows.length, t], count, position };
}

/** The dataset's sequences; of text also the shorter rest at its end, if `rest` or if it is all there is. */
function sequences(dataset: Dataset, seqLen: number, rest: boolean): readonly TokenRow[] {
  const rows = dataset.groups.flat();
  if (rows.length === 0) throw new RangeError("Cannot make batches: found no row with a token to predict");
  if (dataset.kind === "rows") {
    const long = rows.find(({ ids }) => ids.length > seqLen + 1);
    if (!long) return rows;
    throw new RangeError(
      `Cannot make batches with seqLen ${seqLen}: found a row of ${long.ids.length} tokens, expected at most ${
        seqLen + 1
      }`,
    );
  }
  const ids = rows.flatMap((row) => row.ids);
  const mask = rows.flatMap((row) => row.mask);
  const cut: TokenRow[] = [];
  for (let at = 0; at + 1 < ids.length; at += seqLen) {
    const end = at + seqLen + 1;
    if (end > ids.length && !rest && cut.length) break;
    cut.push({ ids: ids.slice(at, end), mask: mask.slice(at, end) });
  }
  return cut;
}
