import { effectiveWeight } from "../ops/effective_weight.ts";
import { magnitudeGradient, rescaleColumns, rowNorms } from "../ops/magnitude.ts";
import { matmul } from "../ops/matmul.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { type LinearAttributes, linearRule } from "./linear.ts";
import { addRule, affineRule, dropoutRule } from "./rules.ts";
import { constant, type Rule, type Tape, type Variable } from "./tape.ts";

/** Scale, starting factors and dropout of a branch. */
type BranchAttributes = NonNullable<LinearAttributes["adapter"]>;

/** What the backward pass finds again. */
export interface DoraSaved {
  /** ‖V‖ of each row. */
  readonly norm: Tensor;
  /** x Vᵀ, where the magnitude is trained. */
  readonly z?: Tensor;
  /** V, where keeping it costs less than the layer's input and output. */
  readonly weight?: Tensor;
}

/**
 * `y = (m / ‖V‖) ∘ (x Vᵀ)` for V = W + s (B A − B₀ A₀), x f32 `[n, in]`, W `[out, in]`, m f32 `[out]` and ‖V‖ the norms of
 * V's rows; inputs [x, W, A, B, m], B₀ and A₀ where the branch does not start at zero. In the gradient ‖V‖ is a constant.
 * Where m = ‖V‖ the layer is that of V bit for bit, and where a row of V is zero it counts as m = ‖V‖.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, eq. (5), and §4.3 for the gradient.
 */
export const doraRule: Rule<Omit<BranchAttributes, "dropout">, DoraSaved> = {
  name: "dora",

  forward(gpu, [x, w, a, b, m], branch) {
    const v = effectiveWeight(gpu, w.value, { ...branch, trained: { a: a.value, b: b.value } });
    const norm = rowNorms(gpu, v);
    const z = matmul(gpu, "nt", x.value, v);
    const y = rescaleColumns(gpu, z, { m: m.value, norm });
    const keepsWeight = x.needed && v.size <= x.value.size + y.size;
    if (!keepsWeight) v.dispose();
    if (!m.needed) z.dispose();
    return {
      outputs: [y],
      saved: { norm, ...(m.needed && { z }), ...(keepsWeight && { weight: v }) },
      scratch: [norm, ...(m.needed ? [z] : []), ...(keepsWeight ? [v] : [])],
    };
  },

  backward(gpu, [dy], [x, w, a, b, m], { norm, z, weight }, adapter) {
    if (!dy) return [];
    using dz = rescaleColumns(gpu, dy, { m: m.value, norm });
    const gradients = linearRule.backward(gpu, [dz], [x, w, a, b], { ...(weight && { weight }) }, {
      adapter,
    });
    let dm: Tensor | undefined;
    if (z) {
      if (!m.sink) gpu.clear(dm = gpu.tensor(m.value.shape));
      magnitudeGradient(gpu, { z, norm }, dy, m.sink ?? dm!);
    }
    return [...gradients, dm];
  },
};

/**
 * A linear layer whose adapter has a magnitude: `doraRule`, and with dropout
 * `y = (m / ‖V‖) ∘ (drop(x) Vᵀ) + (x − drop(x)) (W − s B₀ A₀)ᵀ`.
 *
 * Source: the term beside the dropped input is that of huggingface/peft, 0.21, whose base has lost s B₀ A₀; the paper has none.
 *
 * @param inputs x, W, A, B and m, as in `doraRule`.
 */
export function dora(
  tape: Tape,
  [x, w, ...trained]: readonly Variable[],
  { scale, start, dropout }: BranchAttributes,
): Variable {
  const branch = { scale, ...(start && { start }) };
  if (!dropout) return tape.apply(doraRule, [x, w, ...trained], branch)[0];
  const [dropped] = tape.apply(dropoutRule, [x], dropout);
  const [negative] = tape.apply(affineRule, [dropped], { scale: -1, offset: 0 });
  const [rest] = tape.apply(addRule, [x, negative], null);
  const [y] = tape.apply(doraRule, [dropped, w, ...trained], branch);
  const [plain] = tape.apply(linearRule, [rest, w], {});
  const [sum] = tape.apply(addRule, [y, plain], null);
  if (!start) return sum;
  const [hidden] = tape.apply(linearRule, [rest, constant(start.a)], {});
  const [taken] = tape.apply(linearRule, [hidden, constant(start.b)], {});
  const [scaled] = tape.apply(affineRule, [taken], { scale: -scale, offset: 0 });
  return tape.apply(addRule, [sum, scaled], null)[0];
}
