import { Rng } from "../../lib/core/rng.ts";
import { makeDocument } from "./documents.ts";
import { BOS, type Encode, EOS } from "./tokenizer.ts";
import { makeWorld } from "./world.ts";

/** Seed of the world and of every file of data/tiny; bases of other seeds live in the same world. */
export const WORLD_SEED = 2406;

/** Options of `pretrainBatches`. */
export interface PretrainOptions {
  /** Seed of the text; every base has its own. */
  readonly seed: number;
  /** Rows of a batch, b. */
  readonly batchSize: number;
  /** Tokens of a row, t; row i predicts its tokens 1 to t - 1. */
  readonly seqLen: number;
  /** First batch to give, default 0: a resumed run passes the number of steps done. */
  readonly position?: number;
}

/** A batch of token ids, row-major `[b, t]`. */
export interface PretrainBatch {
  /** Number of this batch, counted from 0. */
  readonly position: number;
  /** Token ids `[b, t]`. */
  readonly ids: Uint32Array;
}

/**
 * Fresh text without end: a row is a function of the seed and its own number, so no row is ever repeated and a run
 * resumed at `position` goes on with the same rows. A row is `<bos> document <eos>` again and again, cut at t
 * tokens; no padding.
 */
export function* pretrainBatches(encode: Encode, options: PretrainOptions): Generator<PretrainBatch, never> {
  const { seed, batchSize, seqLen } = options;
  const row = rowMaker(encode, `pretrain/${seed}`);
  for (let position = options.position ?? 0;; position++) {
    const ids = new Uint32Array(batchSize * seqLen);
    for (let i = 0; i < batchSize; i++) ids.set(row(position * batchSize + i, seqLen), i * seqLen);
    yield { position, ids };
  }
}

function rowMaker(encode: Encode, stream: string): (index: number, length: number) => number[] {
  const world = makeWorld(WORLD_SEED);
  return (index, length) => {
    const rng = new Rng(WORLD_SEED, `${stream}/${index}`);
    const ids: number[] = [];
    while (ids.length < length) {
      ids.push(BOS, ...encode(makeDocument(world, world.visitors, rng)), EOS);
    }
    ids.length = length;
    return ids;
  };
}
