import { Tape } from "../autograd/tape.ts";
import { collate } from "../datasets/batches.ts";
import type { MultipleChoiceItem } from "../datasets/multiple_choice.ts";
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
  return await meanOf(model, batches, (tape, batch) => {
    const changes = changesOf(model, options);
    return negativeLogLikelihood(tape, model, batch, changes ? { changes } : {}).value;
  });
}

/** A mean divergence and what it is the mean of. */
export interface Divergence {
  /** Nats per predicted token. */
  readonly mean: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/**
 * Mean Kullback–Leibler divergence KL(base ‖ tuned) over the predicted tokens of `batches`: how far what is attached to
 * the model moved its predictions from the base's, whichever tokens follow. Exactly 0 of an adapter that computes what
 * the base computes, as `attach` leaves it. Of both runs' logits a chunk is held at a time.
 *
 * Source: `klDivergence`. The direction is our own choice: the expectation is over what the base would say, so what the
 * tuned model no longer says counts most.
 *
 * @returns The mean, NaN where nothing is predicted.
 */
export async function meanDivergence(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  options: EvaluateOptions = {},
): Promise<Divergence> {
  return await meanOf(
    model,
    batches,
    (tape, batch) => divergence(tape, model, batch, changesOf(model, options)),
  );
}

function changesOf(model: Model, { changes }: EvaluateOptions): Changes | undefined {
  return changes === undefined ? model.changes : changes ?? undefined;
}

/** The mean over predicted tokens of what `record` makes of each batch, f32 `[b t]`, read once. */
async function meanOf(
  model: Model,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  record: (tape: Tape, batch: DeviceBatch) => Tensor,
): Promise<{ mean: number; tokens: number }> {
  const { gpu } = model;
  const sums: number[] = [];
  let tokens = 0;
  const all = [...batches];
  using totals = gpu.keep(gpu.tensor([Math.max(1, all.length)]));
  all.forEach((batch, at) => {
    gpu.scope(() => {
      using tape = new Tape(gpu, { gradients: false });
      sumInto(gpu, record(tape, uploadBatch(model, batch)), totals, { at });
    });
    gpu.flush();
    tokens += batch.count;
  });
  if (all.length) sums.push(...await gpu.read(totals));
  return { mean: sums.reduce((sum, x) => sum + x, 0) / tokens, tokens };
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
  /** Items. */
  readonly items: number;
}

/**
 * Multiple choice by log-likelihood: the choice whose tokens are likeliest after the question.
 *
 * Source: Brown et al. 2020, arXiv:2005.14165, §2.4; the same two scores as `acc` and `acc_norm` of EleutherAI's
 * evaluation harness. Equal scores count for the first choice.
 */
export async function multipleChoice(
  model: Model,
  items: readonly MultipleChoiceItem[],
  options: EvaluateOptions & { batchRows?: number } = {},
): Promise<ChoiceScore> {
  const { batchRows = 64 } = options;
  const changes = changesOf(model, options);
  const rows = items.flatMap(({ choices }) => choices);
  const scores: number[] = [];
  for (let first = 0; first < rows.length; first += batchRows) {
    const batch = collate(rows.slice(first, first + batchRows));
    const { gpu } = model;
    const nll = gpu.scope(() => {
      const tape = new Tape(gpu, { gradients: false });
      return tape.keep(
        negativeLogLikelihood(tape, model, uploadBatch(model, batch), changes ? { changes } : {}),
      );
    });
    const values = await gpu.read(nll);
    nll.dispose();
    const [b, t] = batch.shape;
    for (let i = 0; i < b; i++) {
      scores.push(-values.subarray(i * t, (i + 1) * t).reduce((sum, x) => sum + x, 0));
    }
  }
  let plain = 0;
  let normalized = 0;
  let first = 0;
  for (const { answer, choices, bytes } of items) {
    const own = scores.slice(first, first += choices.length);
    plain += Number(best(own) === answer);
    normalized += Number(best(own.map((score, i) => score / bytes[i])) === answer);
  }
  return { accuracy: plain / items.length, normalized: normalized / items.length, items: items.length };
}

function best(scores: readonly number[]): number {
  return scores.reduce((top, score, i) => score > scores[top] ? i : top, 0);
}
