import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { add } from "../ops/add.ts";
import { addScaled } from "../ops/affine.ts";
import { dropout } from "../ops/dropout.ts";
import { effectiveWeight, type LowRank } from "../ops/effective_weight.ts";
import { matmul, type MatmulOptions } from "../ops/matmul.ts";
import { matvec } from "../ops/matvec.ts";
import type { InputUse, Rule } from "./tape.ts";

/** How a linear layer's adapter enters; without one, inputs are only x and W. */
export interface LinearAttributes {
  /** Scale and frozen starting factors of the adapter whose A and B are inputs 2 and 3. */
  adapter?: {
    /** s, dimensionless. */
    scale: number;
    /** A₀ `[r, in]` and B₀ `[out, r]`, where the branch does not start at zero. */
    start?: { a: Tensor; b: Tensor };
    /** Dropout of the trainable branch's input: probability and key of the mask. */
    dropout?: { p: number; key: readonly [number, number] };
  };
}

/** What the backward pass finds again. */
export interface LinearSaved {
  /** The trainable branch's input after dropout. */
  readonly dropped?: Tensor;
  /** The merged weight, where keeping it costs less than the layer's input and output. */
  readonly weight?: Tensor;
}

/**
 * `y = x Wᵀ + s (drop(x) Aᵀ Bᵀ − x A₀ᵀ B₀ᵀ)` for x f32 `[n, in]` and W `[out, in]`, inputs [x, W] or [x, W, A, B].
 *
 * W is widened and merged with what shares its input into one matrix, `W + s (B A − B₀ A₀)` (with dropout
 * `W − s B₀ A₀`): 4 r · out · in flops in place of the 4 r · n · (out + in) of a branch, and at the start equal to W
 * bit for bit. It is kept for the backward pass if out · in <= n (out + in), else made again. A W without an
 * adapter is read where it is and as it is stored. A single row without gradients, as generation has them, goes the branch's way instead:
 * there W is what costs, and it is read as it is stored.
 *
 * Source: Hu et al. 2021, arXiv:2106.09685, eq. (3); OLoRA's residual form rearranged. Merging is our own choice.
 */
export const linearRule: Rule<LinearAttributes, LinearSaved> = {
  name: "linear",

  forward(gpu, inputs, { adapter }) {
    const [x, w, a, b] = inputs;
    if (x.value.shape[0] === 1 && !inputs.some(({ needed }) => needed) && !adapter?.dropout) {
      return { outputs: [oneRow(gpu, inputs, adapter)], saved: {} };
    }
    const dropped = adapter?.dropout && dropout(gpu, x.value, adapter.dropout.p, adapter.dropout.key);
    const merged = merge(gpu, inputs, { adapter });
    const y = matmul(gpu, "nt", x.value, merged ?? w.value);
    if (dropped) {
      using u = matmul(gpu, "nt", dropped, a.value);
      matmul(gpu, "nt", u, b.value, { into: y, accumulate: true, scale: adapter!.scale });
    }
    const kept = x.needed && w.value.size <= x.value.size + y.size ? merged : undefined;
    if (!kept) merged?.dispose();
    return {
      outputs: [y],
      saved: { ...(dropped && { dropped }), ...(kept && { weight: kept }) },
      scratch: [dropped, kept].filter((tensor) => tensor !== undefined),
    };
  },

  backward(gpu, [dy], inputs, { dropped, weight }, { adapter }) {
    if (!dy) return [];
    const [x, w, a, b] = inputs;
    const dw = w.needed ? product(gpu, dy, x.value, w, 1) : undefined;
    let dx: Tensor | undefined;
    if (x.needed) {
      using again = weight ? undefined : merge(gpu, inputs, { adapter });
      const into = dropped ? undefined : x.gradient;
      dx = matmul(gpu, "nn", dy, weight ?? again ?? w.value, into ? { into, accumulate: true } : {});
    }
    if (!adapter) return [dx, dw];
    const { scale } = adapter;
    const input = dropped ?? x.value;
    let da: Tensor | undefined;
    let db: Tensor | undefined;
    if (b.needed) {
      using u = matmul(gpu, "nt", input, a.value);
      db = product(gpu, dy, u, b, scale);
    }
    if (a.needed || (dropped && dx)) {
      using g = matmul(gpu, "nn", dy, b.value, { scale });
      if (a.needed) da = product(gpu, g, input, a, 1);
      if (dropped && dx) {
        using branch = matmul(gpu, "nn", g, a.value);
        using masked = dropout(gpu, branch, adapter.dropout!.p, adapter.dropout!.key);
        using before = dx;
        dx = add(gpu, before, masked);
      }
    }
    return [dx, dw, da, db];
  },
};

/** y for one row; s (B A − B₀ A₀) x is zero at the start bit for bit, as both products then are the same. */
function oneRow(
  gpu: Gpu,
  [x, w, a, b]: readonly InputUse[],
  adapter: LinearAttributes["adapter"],
): Tensor {
  const y = matvec(gpu, x.value, w.value);
  if (!adapter) return y;
  const through = (a: Tensor, b: Tensor, options: MatmulOptions) => {
    using u = matvec(gpu, x.value, a);
    return matvec(gpu, u, b, options);
  };
  using branch = through(a.value, b.value, {});
  if (adapter.start) through(adapter.start.a, adapter.start.b, { into: branch, accumulate: true, scale: -1 });
  addScaled(gpu, branch, adapter.scale, y);
  return y;
}

/** The matrix that x is multiplied by; undefined where it is W itself. */
function merge(
  gpu: Gpu,
  [, w, a, b]: readonly InputUse[],
  { adapter }: LinearAttributes,
): Tensor | undefined {
  if (!adapter) return undefined;
  const lowRank: LowRank = {
    scale: adapter.scale,
    ...(!adapter.dropout && { trained: { a: a.value, b: b.value } }),
    ...(adapter.start && { start: adapter.start }),
  };
  return effectiveWeight(gpu, w.value, lowRank);
}

/** `scale · leftᵀ right`, added to the sink of `use` or returned. */
function product(gpu: Gpu, left: Tensor, right: Tensor, use: InputUse, scale: number): Tensor | undefined {
  if (!use.sink) return matmul(gpu, "tn", left, right, { scale });
  matmul(gpu, "tn", left, right, { scale, into: use.sink, accumulate: true });
}
