import { linearRule } from "../autograd/linear.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { adalora, normal, singularBranch } from "./adalora.ts";
import type { LayerForm, Method } from "./method.ts";
import { RankBudget } from "./rank_budget.ts";

const form: LayerForm = {
  takesDropout: true,
  takesAlpha: true,

  start(target) {
    const { out, in: width, config: { rank, innerRank: k = 8 } } = target;
    return new Map([
      ["e", hostTensor([1, rank], new Float32Array(rank))],
      normal(target, "b", [rank, k]),
      normal(target, "aa", [rank, k]),
      normal(target, "a", [width, k]),
      normal(target, "bb", [out, k]),
    ]);
  },

  apply(tape, inputs, tensors, { config: { alpha, rank } }) {
    const [p] = tape.apply(linearRule, [tensors("bb"), tensors("aa")], {});
    const [q] = tape.apply(linearRule, [tensors("b"), tensors("a")], {});
    return singularBranch(tape, inputs, { p, e: tensors("e"), q }, alpha / rank);
  },

  course: (parameters, targets) =>
    new RankBudget(parameters, targets, {
      scored: { b: "rows", aa: "rows" },
      orthonormal: ["b", "aa", "a", "bb"],
    }),

  triplets: (tensors) => ({
    p: timesTransposed(tensors("bb"), tensors("aa")),
    e: tensors("e"),
    q: timesTransposed(tensors("b"), tensors("a")),
  }),
};

/**
 * LoRA² (multi-scale): AdaLoRA whose singular vectors are themselves products of rank k (`innerRank`),
 * y = W x + s (bb aa) diag(e) (B A) x with bb `[m, k]`, aa `[k, r]`, e `[r]`, B `[r, k]` and A `[k, n]`; the importance of a
 * triplet is that of e, of its column of aa and of its row of B alone. k (m + n) + r (2 k + 1) numbers are trained for a
 * weight `[m, n]`, of which r (2 k + 1) are scored; AdaLoRA scores r (m + n + 1). aa and A are kept as their transposes,
 * `aa` `[r, k]` and `a` `[n, k]`. e starts at zero, the others normal with deviation 0.02.
 *
 * Source: Zhang et al. 2024, arXiv:2408.06854, and the forward pass of the authors' code, where k is 8; the budget is
 * AdaLoRA's (`RankBudget`). Deviations: those of `adalora`; all four factors are drawn to orthonormal ones on their shorter
 * side, as on the longer one none can be; no term couples the two planes: the one in the authors' code repeats that of the
 * last factor, and the one that it logs, ‖(B A)ᵀ (bb aa)ᵀ‖, would draw the change itself to zero.
 */
export const lora2: Method = {
  ...adalora,
  name: "lora2",
  takes: [...adalora.takes, "innerRank"],
  layer: form,
};

/** x yᵀ for x `[m, k]` and y `[n, k]`, summed in float64. */
function timesTransposed(x: HostTensor, y: HostTensor): HostTensor {
  const [left, right] = [x, y].map(toFloat32);
  const [[m, k], [n]] = [x.shape, y.shape];
  const values = Float32Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n) * k, at % n * k];
    let sum = 0;
    for (let t = 0; t < k; t++) sum += left[i + t] * right[j + t];
    return sum;
  });
  return hostTensor([m, n], values);
}
