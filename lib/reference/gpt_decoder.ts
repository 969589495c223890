import { activate, activateBackward } from "./activation.ts";
import { add } from "./add.ts";
import { attention, attentionBackward } from "./attention.ts";
import { bias } from "./bias.ts";
import { center } from "./center.ts";
import { columnSum } from "./column_sum.ts";
import { joinColumns, splitColumns } from "./columns.ts";
import { type CrossEntropy, crossEntropy, crossEntropyBackward } from "./cross_entropy.ts";
import { nextTokens, type TokenBatch, type Weights } from "./decoder.ts";
import { embedding, embeddingBackward } from "./embedding.ts";
import { linear, linearBackward } from "./linear.ts";
import { rmsNorm, rmsNormBackward } from "./rms_norm.ts";

/** Architecture of a decoder with learned positions, layer norms and an MLP without a gate: OPT or GPT-2. */
export interface GptConfig {
  /** Vocabulary. */
  v: number;
  /** Model width. */
  d: number;
  /** Blocks. */
  layers: number;
  /** Heads. */
  h: number;
  /** Width of the MLP. */
  hidden: number;
  /** Added to the variance in each norm. */
  eps: number;
  /** Rows of the position table, and those before that of position 0. */
  positions: { rows: number; offset: number };
  /** Activation of the MLP. */
  activation: "relu" | "gelu";
  /** Paths of the modules; those of a block follow `<blocks>.N.`. */
  names: {
    embedding: string;
    positions: string;
    blocks: string;
    norm: string;
    attentionNorm: string;
    /** q, k and v, or one layer that gives the three side by side. */
    attention: readonly string[];
    attentionOut: string;
    mlpNorm: string;
    up: string;
    down: string;
  };
}

/** A value, and what the gradient that reaches it makes of those it came from. */
interface Step {
  value: Float64Array;
  pull(gradient: Float64Array): Float64Array;
}

/**
 * OPT or GPT-2 in float64: per-token nats, mean loss, and on demand the gradient of that loss for each weight under its
 * own name. Weights are `[out, in]`; the head is the token embedding.
 *
 * Source: Radford et al. 2019, §2.3, and Zhang et al. 2022, arXiv:2205.01068, with the names of Hugging Face's
 * implementation. Checked against it (tests/parity).
 */
export function gptDecoder(
  weights: Weights,
  config: GptConfig,
  batch: TokenBatch,
): CrossEntropy & { backward(): Record<string, Float64Array> } {
  const { b, t, ids } = batch;
  const { v, d, h, hidden, eps, names, positions: { rows, offset } } = config;
  const n = b * t;
  const gradients: Record<string, Float64Array> = {};

  const norm = (x: Float64Array, path: string): Step => {
    const [w, shift] = [weights[`${path}.weight`], weights[`${path}.bias`]];
    const centered = center(x, { n, d });
    return {
      value: bias(rmsNorm(centered, w, { n, d }, eps), shift, { n, d }),
      pull(dy) {
        const { dx, dw } = rmsNormBackward(centered, w, dy, { n, d }, eps);
        gradients[`${path}.weight`] = dw;
        gradients[`${path}.bias`] = columnSum(dy, { n, d });
        return center(dx, { n, d });
      },
    };
  };
  const project = (x: Float64Array, path: string, out: number): Step => {
    const [w, shift] = [weights[`${path}.weight`], weights[`${path}.bias`]];
    const dims = { n, in: x.length / n, out };
    return {
      value: bias(linear(x, w, dims), shift, { n, d: out }),
      pull(dy) {
        const { dx, dw } = linearBackward(x, w, dy, dims);
        gradients[`${path}.weight`] = dw;
        gradients[`${path}.bias`] = columnSum(dy, { n, d: out });
        return dx;
      },
    };
  };
  const mix = (x: Float64Array, at: string): Step => {
    const parts = names.attention.map((name) => project(x, `${at}.${name}`, 3 * d / names.attention.length));
    const fused = parts.length === 1;
    const [q, k, v] = fused
      ? splitColumns(parts[0].value, { n, d, parts: 3 })
      : parts.map(({ value }) => value);
    const axes = { b, t, h, hk: h, c: d / h };
    const attended = attention(q, k, v, axes);
    const out = project(attended.out, `${at}.${names.attentionOut}`, d);
    return {
      value: out.value,
      pull(dy) {
        const { dq, dk, dv } = attentionBackward(q, k, v, attended, out.pull(dy), axes);
        if (fused) return parts[0].pull(joinColumns([dq, dk, dv], { n, d }));
        return [dq, dk, dv].map((gradient, i) => parts[i].pull(gradient)).reduce(add);
      },
    };
  };
  const think = (x: Float64Array, at: string): Step => {
    const up = project(x, `${at}.${names.up}`, hidden);
    const down = project(activate(config.activation, up.value), `${at}.${names.down}`, d);
    return {
      value: down.value,
      pull: (dy) => up.pull(activateBackward(config.activation, up.value, down.pull(dy))),
    };
  };
  /** `x + branch(norm(x))`. */
  const residual = (
    x: Float64Array,
    at: string,
    part: string,
    branch: (x: Float64Array, at: string) => Step,
  ): Step => {
    const normed = norm(x, `${at}.${part}`);
    const made = branch(normed.value, at);
    return { value: add(x, made.value), pull: (dy) => add(dy, normed.pull(made.pull(dy))) };
  };

  const table = weights[`${names.embedding}.weight`];
  const places = Int32Array.from({ length: n }, (_, i) => offset + i % t);
  const steps: Step[] = [];
  let x = add(
    embedding(table, ids, { n, d, v }),
    embedding(weights[`${names.positions}.weight`], places, { n, d, v: rows }),
  );
  const then = (step: Step) => {
    steps.push(step);
    x = step.value;
  };
  for (let block = 0; block < config.layers; block++) {
    const at = `${names.blocks}.${block}`;
    then(residual(x, at, names.attentionNorm, mix));
    then(residual(x, at, names.mlpNorm, think));
  }
  then(norm(x, names.norm));
  const targets = batch.targets ?? nextTokens(batch);
  const loss = crossEntropy(x, table, targets, { n, d, v });
  return {
    ...loss,
    backward() {
      const head = crossEntropyBackward(x, table, targets, loss, { n, d, v });
      const dx = steps.reduceRight((gradient, { pull }) => pull(gradient), head.dx);
      gradients[`${names.positions}.weight`] = embeddingBackward(dx, places, { n, d, v: rows });
      gradients[`${names.embedding}.weight`] = add(embeddingBackward(dx, ids, { n, d, v }), head.dw);
      return gradients;
    },
  };
}
