import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { add } from "../ops/add.ts";
import { dropout } from "../ops/dropout.ts";
import { effectiveWeight, type LowRank } from "../ops/effective_weight.ts";
import { matmul } from "../ops/matmul.ts";
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

/**
 * `y = x Wᵀ + s (drop(x) Aᵀ Bᵀ − x A₀ᵀ B₀ᵀ)` for x f32 `[n, in]` and W `[out, in]`, inputs [x, W] or [x, W, A, B].
 *
 * W is widened and merged with what shares its input into one scratch matrix, `W + s (B A − B₀ A₀)` (with dropout
 * `W − s B₀ A₀`), in both passes: 4 r · out · in flops a pass, less than the 4 r · n · (out + in) of a branch as soon
 * as n exceeds out · in / (out + in), and at the start equal to W bit for bit. An f32 W without an adapter is read
 * where it is.
 *
 * Source: Hu et al. 2021, arXiv:2106.09685, eq. (3); OLoRA's residual form rearranged. Merging is our own choice.
 */
export const linearRule: Rule<LinearAttributes, { dropped?: Tensor }> = {
  name: "linear",

  forward(gpu, [x, w, a, b], { adapter }) {
    const dropped = adapter?.dropout && dropout(gpu, x.value, adapter.dropout.p, adapter.dropout.key);
    const y = withWeight(gpu, [x, w, a, b], { adapter }, (weight) => matmul(gpu, "nt", x.value, weight));
    if (dropped) {
      using u = matmul(gpu, "nt", dropped, a.value);
      matmul(gpu, "nt", u, b.value, { into: y, accumulate: true, scale: adapter!.scale });
    }
    return { outputs: [y], saved: { dropped }, scratch: dropped ? [dropped] : [] };
  },

  backward(gpu, [dy], [x, w, a, b], { dropped }, { adapter }) {
    if (!dy) return [];
    const dx = x.needed
      ? withWeight(gpu, [x, w, a, b], { adapter }, (weight) => matmul(gpu, "nn", dy, weight))
      : undefined;
    const dw = w.needed ? product(gpu, dy, x.value, w, 1) : undefined;
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
        const sum = add(gpu, dx, masked);
        dx.dispose();
        return [sum, dw, da, db];
      }
    }
    return [dx, dw, da, db];
  },
};

/** Runs `use` on the matrix that x is multiplied by. */
function withWeight(
  gpu: Gpu,
  [, w, a, b]: readonly InputUse[],
  { adapter }: LinearAttributes,
  use: (weight: Tensor) => Tensor,
): Tensor {
  if (!adapter && w.value.dtype === "f32") return use(w.value);
  const lowRank: LowRank | undefined = adapter && {
    scale: adapter.scale,
    ...(!adapter.dropout && { trained: { a: a.value, b: b.value } }),
    ...(adapter.start && { start: adapter.start }),
  };
  using weight = effectiveWeight(gpu, w.value, lowRank);
  return use(weight);
}

/** `scale · leftᵀ right`, added to the sink of `use` or returned. */
function product(gpu: Gpu, left: Tensor, right: Tensor, use: InputUse, scale: number): Tensor | undefined {
  if (!use.sink) return matmul(gpu, "tn", left, right, { scale });
  matmul(gpu, "tn", left, right, { scale, into: use.sink, accumulate: true });
}
