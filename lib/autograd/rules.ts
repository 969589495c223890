/**
 * The table of derivatives: one rule an operation. Activations are f32 `[n, features]` with n = b · t rows, the tokens
 * of text after text; `linear` is in a file of its own.
 *
 * @module
 */
import { dropout } from "../ops/dropout.ts";
import { embedding, embeddingBackward } from "../ops/embedding.ts";
import type { EmbeddingPlan } from "../ops/embedding.ts";
import type { Shape } from "../core/shape.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Phi } from "../kernels/activation.ts";
import { activate, activateBackward } from "../ops/activation.ts";
import { add } from "../ops/add.ts";
import { addScaled, affine } from "../ops/affine.ts";
import { attention, attentionBackward } from "../ops/attention.ts";
import { bias, biasGradient } from "../ops/bias.ts";
import { center } from "../ops/center.ts";
import { joinColumns, moveColumns, splitColumns } from "../ops/columns.ts";
import { crossEntropy } from "../ops/cross_entropy.ts";
import { cycle, cycleBackward } from "../ops/cycle.ts";
import { gate, gateBackward } from "../ops/gate.ts";
import { rmsNorm, rmsNormBackward, rmsNormWeight } from "../ops/rms_norm.ts";
import { rotary } from "../ops/rotary.ts";
import { scaleColumns, scaleColumnsGradient } from "../ops/scale_columns.ts";
import type { InputUse, Rule } from "./tape.ts";

/** `z = x + y`; inputs [x, y]. */
export const addRule: Rule<null, null> = {
  name: "add",
  forward: (gpu, [x, y]) => ({ outputs: [add(gpu, x.value, y.value)], saved: null }),
  backward: (_gpu, [dz], [x, y]) => [x.needed ? dz : undefined, y.needed ? dz : undefined],
};

/** `y = scale x + offset`; inputs [x]. */
export const affineRule: Rule<{ scale: number; offset: number }, null> = {
  name: "affine",
  forward: (gpu, [x], { scale, offset }) => ({ outputs: [affine(gpu, x.value, scale, offset)], saved: null }),
  backward(gpu, [dy], [x], _saved, { scale }) {
    if (!dy || !x.needed) return [];
    if (!x.sink) return [scale === 1 ? dy : affine(gpu, dy, scale)];
    addScaled(gpu, dy, scale, x.sink);
    return [];
  },
};

/** `y[i, j] = x[i, j] + b[j]`; inputs [x, b]. */
export const biasRule: Rule<null, null> = {
  name: "bias",
  forward: (gpu, [x, b]) => ({ outputs: [bias(gpu, x.value, b.value)], saved: null }),
  backward(gpu, [dy], [x, b]) {
    if (!dy) return [];
    let db: Tensor | undefined;
    if (b.needed) {
      if (!b.sink) gpu.clear(db = gpu.tensor(b.value.shape));
      biasGradient(gpu, dy, b.sink ?? db!);
    }
    return [x.needed ? dy : undefined, db];
  },
};

/** Inverted dropout with probability p and the mask of `key`; inputs [x]. */
export const dropoutRule: Rule<{ p: number; key: readonly [number, number] }, null> = {
  name: "dropout",
  forward: (gpu, [x], { p, key }) => ({ outputs: [dropout(gpu, x.value, p, key)], saved: null }),
  backward: (gpu, [dy], [x], _saved, { p, key }) => dy && x.needed ? [dropout(gpu, dy, p, key)] : [],
};

/** `y = x − mean(x)` of each row; inputs [x]. */
export const centerRule: Rule<null, null> = {
  name: "center",
  forward: (gpu, [x]) => ({ outputs: [center(gpu, x.value)], saved: null }),
  backward: (gpu, [dy], [x]) => dy && x.needed ? [center(gpu, dy)] : [],
};

/** x under another shape; inputs [x]. */
export const reshapeRule: Rule<{ shape: Shape }, null> = {
  name: "reshape",
  forward: (_gpu, [x], { shape }) => ({ outputs: [x.value.view(shape)], saved: null }),
  backward(gpu, [dy], [x]) {
    if (!dy || !x.needed) return [];
    const dx = gpu.tensor(x.value.shape);
    gpu.copy(dy, dx);
    return [dx];
  },
};

/** Columns of x again and again, `wide` of them; inputs [x]. */
export const cycleRule: Rule<{ wide: number }, null> = {
  name: "cycle",
  forward: (gpu, [x], { wide }) => ({ outputs: [cycle(gpu, x.value, wide)], saved: null }),
  backward: (gpu, [dy], [x]) => dy && x.needed ? [cycleBackward(gpu, dy, x.value.shape[1])] : [],
};

/** Sums of every d-th column of x; inputs [x]. */
export const foldRule: Rule<{ d: number }, null> = {
  name: "fold",
  forward: (gpu, [x], { d }) => ({ outputs: [cycleBackward(gpu, x.value, d)], saved: null }),
  backward: (gpu, [dy], [x]) => dy && x.needed ? [cycle(gpu, dy, x.value.shape[1])] : [],
};

/**
 * `width` columns of x, from column `from` on, as the columns of y from `to` on; the others of `wide` are zero. Inputs [x].
 */
export const moveColumnsRule: Rule<{ width: number; from?: number; to?: number; wide: number }, null> = {
  name: "moveColumns",
  forward: (gpu, [x], { wide, ...columns }) => ({
    outputs: [moveColumns(gpu, x.value, wide, columns)],
    saved: null,
  }),
  backward: (gpu, [dy], [x], _saved, { width, from = 0, to = 0 }) =>
    dy && x.needed ? [moveColumns(gpu, dy, x.value.shape[1], { width, from: to, to: from })] : [],
};

/** Columns of x times numbers of their own, other ones for each of g groups of rows; inputs [x, s] with s `[g, d]`. */
export const scaleColumnsRule: Rule<null, null> = {
  name: "scaleColumns",
  forward: (gpu, [x, s]) => ({ outputs: [scaleColumns(gpu, x.value, s.value)], saved: null }),
  backward(gpu, [dy], [x, s]) {
    if (!dy) return [];
    let ds: Tensor | undefined;
    if (s.needed) {
      if (!s.sink) gpu.clear(ds = gpu.tensor(s.value.shape));
      scaleColumnsGradient(gpu, x.value, dy, s.sink ?? ds!);
    }
    return [x.needed ? scaleColumns(gpu, dy, s.value) : undefined, ds];
  },
};

/** Neighbouring columns of x as matrices of their own; inputs [x], as many outputs as `parts`. */
export const splitRule: Rule<{ parts: number }, null> = {
  name: "split",
  forward: (gpu, [x], { parts }) => ({ outputs: splitColumns(gpu, x.value, parts), saved: null }),
  backward: (gpu, gradients, [x]) =>
    x.needed && gradients.some((dy) => dy) ? [joinColumns(gpu, gradients)] : [],
};

/** `x = table[ids]`; inputs [table]. */
export const embeddingRule: Rule<{ ids: Tensor; plan?: EmbeddingPlan }, null> = {
  name: "embedding",
  forward: (gpu, [table], { ids }) => ({ outputs: [embedding(gpu, ids, table.value)], saved: null }),
  backward(gpu, [dx], [table], _saved, { plan }) {
    if (!dx || !table.needed) return [];
    if (!plan) throw new TypeError("Cannot compute the gradient of embedding without a plan of its ids");
    const into = table.sink ?? gpu.tensor(table.value.shape);
    embeddingBackward(gpu, plan, dx, into, table.sink !== undefined);
    return [table.sink ? undefined : into];
  },
};

/**
 * `h = x + delta`, `y = rmsNorm(h)`; inputs [x, w, delta], outputs [y, h], or inputs [x, w] and output [y].
 */
export const rmsNormRule: Rule<{ eps: number }, { h: Tensor; rho: Tensor }> = {
  name: "rmsNorm",
  forward(gpu, [x, w, delta], { eps }) {
    const { h, y, rho } = rmsNorm(gpu, x.value, w.value, { eps, ...(delta && { delta: delta.value }) });
    return { outputs: delta ? [y, h] : [y], saved: { h, rho }, scratch: [rho] };
  },
  backward(gpu, [dy, dh], [x, w, delta], { h, rho }) {
    if (!dy) return [dh, undefined, dh];
    let dw: Tensor | undefined;
    if (w.needed) {
      if (!w.sink) gpu.clear(dw = gpu.tensor(w.value.shape));
      rmsNormWeight(gpu, { h, rho }, dy, w.sink ?? dw!);
    }
    const dx = x.needed || delta?.needed ? rmsNormBackward(gpu, { h, rho, w: w.value }, dy, dh) : undefined;
    return [x.needed ? dx : undefined, dw, delta?.needed ? dx : undefined];
  },
};

/** `rmsNorm` of each head by itself; inputs [x, w] where x is `[n, h c]` and w `[c]`. */
export const headNormRule: Rule<{ eps: number }, { rho: Tensor }> = {
  name: "headNorm",
  forward(gpu, [x, w], { eps }) {
    const { y, rho } = rmsNorm(gpu, eachHead(x.value, w.value), w.value, { eps });
    return { outputs: [y.reshape(x.value.shape)], saved: { rho }, scratch: [rho] };
  },
  backward(gpu, [dy], [x, w], { rho }) {
    if (!dy) return [];
    const [h, slope] = [eachHead(x.value, w.value), eachHead(dy, w.value)];
    let dw: Tensor | undefined;
    if (w.needed) {
      if (!w.sink) gpu.clear(dw = gpu.tensor(w.value.shape));
      rmsNormWeight(gpu, { h, rho }, slope, w.sink ?? dw!);
    }
    const dx = x.needed
      ? rmsNormBackward(gpu, { h, rho, w: w.value }, slope).reshape(x.value.shape)
      : undefined;
    return [dx, dw];
  },
};

/** Axes of heads inside `[n, h c]`. */
export interface HeadAxes {
  /** Texts. */
  b: number;
  /** Tokens of a text. */
  t: number;
  /** Width of a head. */
  c: number;
}

/** Turns each head by its token's position; inputs [x]. */
export const rotaryRule: Rule<HeadAxes & { table: Tensor; start?: number }, null> = {
  name: "rotary",
  forward(gpu, [x], { table, start = 0, ...axes }) {
    const y = rotary(gpu, heads(x.value, axes), table, { start });
    return { outputs: [y.reshape(x.value.shape)], saved: null };
  },
  backward(gpu, [dy], [x], _saved, { table, start = 0, ...axes }) {
    if (!dy || !x.needed) return [];
    return [rotary(gpu, heads(dy, axes), table, { start, inverse: true }).reshape(x.value.shape)];
  },
};

/** Causal attention with grouped heads; inputs [q, k, v] where q is `[n, h c]` and k, v are `[n, hk c]`. */
export const attentionRule: Rule<
  HeadAxes & { start?: number; window?: number },
  { out: Tensor; logSumExp: Tensor }
> = {
  name: "attention",
  forward(gpu, [q, k, v], { start = 0, window, ...axes }) {
    const { out, logSumExp } = attention(
      gpu,
      heads(q.value, axes),
      heads(k.value, axes),
      heads(v.value, axes),
      { start, ...(window && { window }) },
    );
    return { outputs: [out.reshape(q.value.shape)], saved: { out, logSumExp }, scratch: [logSumExp] };
  },
  backward(gpu, [dy], [q, k, v], { out, logSumExp }, { window, ...axes }) {
    if (!dy) return [];
    const { dq, dk, dv } = attentionBackward(gpu, {
      q: heads(q.value, axes),
      k: heads(k.value, axes),
      v: heads(v.value, axes),
      out,
      logSumExp,
      dOut: heads(dy, axes),
      ...(window && { window }),
    });
    return [[q, dq], [k, dk], [v, dv]].map(([input, gradient]) => {
      const made = gradient as Tensor;
      const { needed, value } = input as InputUse;
      if (needed) return made.reshape(value.shape);
      made.dispose();
    });
  },
};

/** `h = φ(g) v`; inputs [g, v]. */
export const gateRule: Rule<{ phi: Phi }, null> = {
  name: "gate",
  forward: (gpu, [g, v], { phi }) => ({ outputs: [gate(gpu, phi, g.value, v.value)], saved: null }),
  backward(gpu, [dh], [g, v], _saved, { phi }) {
    if (!dh) return [];
    const { dg, dv } = gateBackward(gpu, phi, { g: g.value, v: v.value, dh });
    return [dg, dv];
  },
};

/** `y = φ(x)`; inputs [x]. */
export const activationRule: Rule<{ phi: Phi }, null> = {
  name: "activation",
  forward: (gpu, [x], { phi }) => ({ outputs: [activate(gpu, phi, x.value)], saved: null }),
  backward: (gpu, [dy], [x], _saved, { phi }) =>
    dy && x.needed ? [activateBackward(gpu, phi, x.value, dy)] : [],
};

/**
 * Nats of each row, f32 `[n]`; inputs [x, head]. Its gradient is that of `scale · Σ nll`, computed in the forward pass
 * while a chunk of logits is at hand, so `backward` starts from it without a gradient.
 */
export const crossEntropyRule: Rule<{ targets: Tensor; scale: number }, { dx?: Tensor; dHead?: Tensor }> = {
  name: "crossEntropy",
  forward(gpu, [x, head], { targets, scale }) {
    let dHead = head.needed ? head.sink : undefined;
    if (head.needed && !dHead) gpu.clear(dHead = gpu.tensor(head.value.shape));
    const { nll, dx } = crossEntropy(gpu, x.value, head.value, targets, {
      scale,
      dx: x.needed,
      ...(dHead && { dHead }),
    });
    return {
      outputs: [nll],
      saved: { ...(dx && { dx }), ...(dHead && { dHead }) },
      scratch: [dx, head.sink ? undefined : dHead].filter((tensor) => tensor !== undefined),
    };
  },
  backward: (_gpu, _none, [, head], { dx, dHead }) => [dx, head.sink ? undefined : dHead],
};

/** `[n, h c]` seen as `[n h, c]`, for a norm's weight `[c]`. */
function eachHead(x: Tensor, w: Tensor): Tensor {
  return x.view([x.size / w.size, w.size]);
}

/** `[n, h c]` or `[s, h c]` seen as `[b, t, h, c]`. */
function heads(x: Tensor, { b, c }: HeadAxes): Tensor {
  const [n, width] = x.shape;
  return x.view([b, n / b, width / c, c]);
}
