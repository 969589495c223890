import { Tape } from "../autograd/tape.ts";
import { bestChoice, type MultipleChoiceItem } from "../datasets/multiple_choice.ts";
import type { Changes } from "../nn/decoder.ts";
import type { Model } from "../nn/model.ts";
import type { Tensor } from "../gpu/tensor.ts";
import {
  type DeviceBatch,
  divergence,
  negativeLogLikelihood,
  type TokenBatch,
  uploadBatch,
} from "../nn/score.ts";
import { scoreContinuations } from "../nn/score_continuations.ts";
import { sumInto } from "../ops/sum.ts";

/** A mean loss and what it is the mean of. */
export interface Loss {
  /** Nats per predicted token. */
  readonly mean: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/** Options of evaluations. */
export interface EvaluateOptions {
  /** What stands in for or beside the base's weights; default: what is attached to the model. `null`: the base. */
  changes?: Changes | null;
}

/**
 * Mean loss over the predicted tokens of `batches`, which are summed on the device and read once.
 *
 * @returns The mean, NaN where nothing is predicted.
 */
export async function meanLoss(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  options: EvaluateOptions = {},
): Promise<Loss> {
  const { means: [mean], tokens } = await meansOf(model, batches, 1, (tape, batch) => {
    const changes = changesOf(model, options);
    return [negativeLogLikelihood(tape, model, batch, changes ? { changes } : {}).value];
  });
  return { mean, tokens };
}

/** A mean divergence and what it is the mean of. */
export interface Divergence {
  /** Nats per predicted token. */
  readonly mean: number;
  /** What `meanLoss` gives, of the same forward pass of what is attached. */
  readonly loss: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/**
 * Mean Kullback–Leibler divergence KL(base ‖ tuned) over the predicted tokens of `batches`: how far what is attached to
 * the model moved its predictions from the base's, whichever tokens follow. Exactly 0 of an adapter that computes what
 * the base computes, as `attach` leaves it. Of both runs' logits a chunk is held at a time. The loss comes with it.
 *
 * Source: `klDivergence`. The direction is our own choice: the expectation is over what the base would say, so what the
 * tuned model no longer says counts most.
 *
 * @returns Both means, NaN where nothing is predicted.
 */
export async function meanDivergence(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  options: EvaluateOptions = {},
): Promise<Divergence> {
  const { means: [mean, loss], tokens } = await meansOf(model, batches, 2, (tape, batch) => {
    const { kl, nll } = divergence(tape, model, batch, changesOf(model, options));
    return [kl, nll];
  });
  return { mean, loss, tokens };
}

function changesOf(model: Model, { changes }: EvaluateOptions): Changes | undefined {
  return changes === undefined ? model.changes : changes ?? undefined;
}

/** The means over predicted tokens of the `count` tensors, f32 `[b t]`, that `record` makes of each batch, read once. */
async function meansOf(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  count: number,
  record: (tape: Tape, batch: DeviceBatch) => readonly Tensor[],
): Promise<{ means: number[]; tokens: number }> {
  const { gpu } = model;
  const all = [...batches];
  let tokens = 0;
  using totals = gpu.keep(gpu.tensor([Math.max(1, count * all.length)]));
  all.forEach((batch, at) => {
    gpu.scope(() => {
      using tape = new Tape(gpu, { gradients: false });
      record(tape, uploadBatch(model, batch)).forEach((values, i) =>
        sumInto(gpu, values, totals, { at: i * all.length + at })
      );
    });
    gpu.flush();
    tokens += batch.count;
  });
  const sums = all.length ? await gpu.read(totals) : new Float32Array();
  const means = Array.from(
    { length: count },
    (_, i) => sums.subarray(i * all.length, (i + 1) * all.length).reduce((sum, x) => sum + x, 0) / tokens,
  );
  return { means, tokens };
}

/** e to the mean loss over `batches`. */
export async function perplexity(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  options: EvaluateOptions = {},
): Promise<number> {
  return Math.exp((await meanLoss(model, batches, options)).mean);
}

/** How a model did on multiple-choice items. */
export interface ChoiceScore {
  /** Share of items whose right choice has the highest log-likelihood. */
  readonly accuracy: number;
  /** The same with log-likelihoods divided by the choices' bytes. */
  readonly normalized: number;
  /** The same with log-likelihoods divided by the choices' characters. */
  readonly perCharacter: number;
  /** Standard errors of the three as means over items drawn at random; NaN of a single item. */
  readonly standardErrors: Readonly<Record<"accuracy" | "normalized" | "perCharacter", number>>;
  /** Items. */
  readonly items: number;
}

/** Options of evaluations by multiple choice. */
export interface ChoiceOptions extends EvaluateOptions {
  /** Most tokens in one batch, padding included. Default 1024. */
  batchTokens?: number;
  /** Called with the items done. */
  onProgress?: (done: number) => void;
}

/**
 * Multiple choice by log-likelihood: the choice whose tokens are likeliest after the question.
 *
 * Source: Brown et al. 2020, arXiv:2005.14165, §2.4. The three scores are `acc`, `acc_bytes` and `acc_norm` of EleutherAI's
 * lm-evaluation-harness, the errors its `stderr`. Equal scores count for the first choice.
 */
export async function multipleChoice(
  model: Model,
  items: readonly MultipleChoiceItem[],
  options: ChoiceOptions = {},
): Promise<ChoiceScore> {
  return choiceScore(items, await choiceLogLikelihoods(model, items, options));
}

/**
 * Log-likelihood of each choice of each item, nats, all its tokens together; what the choices of an item have in common is
 * run once. A sequence that is longer than the model's context loses its first tokens.
 */
export async function choiceLogLikelihoods(
  model: Model,
  items: readonly MultipleChoiceItem[],
  options: ChoiceOptions = {},
): Promise<number[][]> {
  const limit = model.config.context + 1;
  const cut = items.map(({ choices }) =>
    choices.map(({ ids, mask }) => ({ ids: ids.slice(-limit), mask: mask.slice(-limit) }))
  );
  const nats = await scoreContinuations(model, cut, options);
  return nats.map((row) => row.map((x) => -x));
}

/** What log-likelihoods of the items' choices ({@linkcode choiceLogLikelihoods}) come to. */
export function choiceScore(
  items: readonly MultipleChoiceItem[],
  logLikelihoods: readonly (readonly number[])[],
): ChoiceScore {
  const n = items.length;
  const share = (lengths: (item: MultipleChoiceItem) => readonly number[] | undefined) =>
    items.filter((item, i) => bestChoice(logLikelihoods[i], lengths(item)) === item.answer).length / n;
  const shares = {
    accuracy: share(() => undefined),
    normalized: share(({ bytes }) => bytes),
    perCharacter: share(({ characters }) => characters),
  };
  const error = (p: number) => n > 1 ? Math.sqrt(p * (1 - p) / (n - 1)) : NaN;
  return {
    ...shares,
    standardErrors: {
      accuracy: error(shares.accuracy),
      normalized: error(shares.normalized),
      perCharacter: error(shares.perCharacter),
    },
    items: n,
  };
}
