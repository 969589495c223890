import { crossEntropyRule } from "../autograd/rules.ts";
import { Tape, type Variable } from "../autograd/tape.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { klDivergence } from "../ops/kl_divergence.ts";
import { checkTargets } from "../ops/cross_entropy.ts";
import { checkIds, type EmbeddingPlan, embeddingPlan } from "../ops/embedding.ts";
import { embeddingName } from "../io/weights.ts";
import { type Changes, decode, type DecoderInput, headWeight } from "./decoder.ts";
import type { Model } from "./model.ts";
import { uploadPositions } from "./positions.ts";

/** Token ids and what each position predicts, row-major; padding is at the end of rows. */
export interface TokenBatch {
  /** Texts and tokens of a text, padding included: `[b, t]`. */
  readonly shape: readonly [number, number];
  /** Token ids, `[b, t]`. */
  readonly ids: Uint32Array;
  /** Id that follows each token, −1 where nothing is scored, `[b, t]`. */
  readonly targets: Int32Array;
}

/** A batch on the device. All of a step is uploaded before its first dispatch, so that the step is one submit. */
export interface DeviceBatch {
  /** Texts. */
  readonly b: number;
  /** Tokens of a text. */
  readonly t: number;
  /** Token ids, u32 `[b t]`. */
  readonly ids: Tensor;
  /** Id that follows each token, i32 `[b t]`, −1 where nothing is scored. */
  readonly targets: Tensor;
  /** The ids sorted, where the embedding is trained. */
  readonly plan?: EmbeddingPlan;
  /** Rows of a learned position table. */
  readonly positions?: NonNullable<DecoderInput["positions"]>;
}

/**
 * Checks and uploads a batch; its tensors belong to the scope around the call.
 *
 * @throws {RangeError} If an id is outside the vocabulary, or the batch is longer than the model's context.
 */
export function uploadBatch(model: Model, batch: TokenBatch, changes?: Changes): DeviceBatch {
  const { shape: [b, t], ids, targets } = batch;
  const { gpu, config: { context, vocabularySize } } = model;
  if (t > context) {
    throw new RangeError(`Cannot run ${t} tokens: expected at most ${context}, the model's context`);
  }
  checkIds("uploadBatch", ids, vocabularySize);
  checkTargets("uploadBatch", targets, vocabularySize);
  const whole = {
    b,
    t,
    ids: gpu.upload(ids, [b * t]),
    targets: gpu.upload(targets, [b * t]),
    ...uploadPositions(gpu, model, { b, t }, changes),
  };
  const trained = changes?.weight(embeddingName(model.config))?.needsGradient;
  return trained ? { ...whole, plan: embeddingPlan(gpu, ids, vocabularySize) } : whole;
}

/**
 * Records the nats of each position of `batch`, f32 `[b t]` (0 where nothing is scored).
 *
 * @param tape Takes the operations; with parameters in `changes`, `tape.backward` then gives the gradient of
 * `scale · Σ nll`.
 */
export function negativeLogLikelihood(
  tape: Tape,
  model: Model,
  batch: DeviceBatch,
  options: { scale?: number; changes?: Changes; recompute?: boolean } = {},
): Variable {
  const { changes, scale = 1, recompute = false } = options;
  const { hidden, head } = run(tape, model, { ...batch, recompute }, changes);
  return tape.apply(crossEntropyRule, [hidden, head], { targets: batch.targets, scale })[0];
}

/**
 * Records the divergence KL(p ‖ q) of each position of `batch` from the model's own predictions p to those under
 * `changes`, q, and the nats of q; f32 `[b t]`, 0 where nothing is scored.
 *
 * @param tape Takes the operations of both runs; no gradient flows through the divergence.
 */
export function divergence(
  tape: Tape,
  model: Model,
  batch: DeviceBatch,
  changes?: Changes,
): { kl: Tensor; nll: Tensor } {
  const [p, q] = [run(tape, model, batch), run(tape, model, batch, changes)];
  const [x, y] = [p, q].map(({ hidden, head }) => ({ x: hidden.value, head: head.value }));
  const [nll] = tape.apply(crossEntropyRule, [q.hidden, q.head], { targets: batch.targets, scale: 1 });
  return { kl: klDivergence(model.gpu, x, y, batch.targets), nll: nll.value };
}

/** Runs the decoder; its last hidden states, and the head as it is stored. */
function run(tape: Tape, model: Model, batch: DecoderInput, changes?: Changes) {
  return { hidden: decode(tape, model, batch, changes), head: headWeight(model, changes) };
}

/** Options of `score`. */
export interface ScoreOptions {
  /** What stands in for or beside the base's weights; default: what is attached to the model. `null`: the base. */
  changes?: Changes | null;
  /** Most tokens in one batch, padding included. Default 4096. */
  batchTokens?: number;
  /** Called with the rows done. */
  onProgress?: (done: number) => void;
}

/**
 * Nats of each token of each row but the first, each row scored by itself: entry t of a row scores its token t + 1.
 *
 * Rows of like length are run together, padded at the end, which no earlier position sees.
 *
 * @param rows Token ids; a row of one token has nothing to score.
 */
export async function score(
  model: Model,
  rows: readonly (readonly number[])[],
  options: ScoreOptions = {},
): Promise<Float32Array[]> {
  const { batchTokens = 4096, onProgress } = options;
  const changes = options.changes === undefined ? model.changes : options.changes ?? undefined;
  const out: Float32Array[] = rows.map(() => new Float32Array(0));
  const order = rows.map((_, i) => i).filter((i) => rows[i].length > 1)
    .sort((x, y) => rows[x].length - rows[y].length);
  let done = rows.length - order.length;
  while (order.length) {
    const t = rows[order.at(-1)!].length - 1;
    const group = order.splice(-Math.max(1, Math.floor(batchTokens / t)));
    const batch = padded(group.map((i) => rows[i]), t);
    const nll = model.gpu.scope(() => {
      const tape = new Tape(model.gpu, { gradients: false });
      const uploaded = uploadBatch(model, batch);
      return tape.keep(negativeLogLikelihood(tape, model, uploaded, changes ? { changes } : {}));
    });
    const values = await model.gpu.read(nll);
    nll.dispose();
    group.forEach((i, place) => out[i] = values.slice(place * t, place * t + rows[i].length - 1));
    onProgress?.(done += group.length);
  }
  return out;
}

/** Rows as a batch of `t` positions that predicts every next token. */
export function padded(rows: readonly (readonly number[])[], t: number): TokenBatch {
  const ids = new Uint32Array(rows.length * t);
  const targets = new Int32Array(rows.length * t).fill(-1);
  rows.forEach((row, i) => {
    for (let j = 0; j + 1 < row.length; j++) {
      ids[i * t + j] = row[j];
      targets[i * t + j] = row[j + 1];
    }
  });
  return { shape: [rows.length, t], ids, targets };
}
