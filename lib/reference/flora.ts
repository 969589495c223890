import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/**
 * FLoRA's weight, W ∘ (A B) `[out, in]`: y = Σₖ aₖ ∘ W (bₖ ∘ x) is that times x.
 *
 * Source: Wen and Chaudhuri 2023, arXiv:2312.05677, eqs. (4) to (6).
 *
 * @param w W, `[out, in]`.
 * @param factors aₖ as rows, `[r, out]`, and bₖ as rows, `[r, in]`.
 */
export function floraWeight(
  w: Float64Array,
  { a, b }: { a: Float64Array; b: Float64Array },
  { out, in: width, r }: { out: number; in: number; r: number },
): Float64Array {
  checkLengths("floraWeight", { out, in: width, r }, { "w [out, in]": w, "a [r, out]": a, "b [r, in]": b });
  const change = matmul(a, b, { m: out, n: width, k: r }, "tn");
  return w.map((value, at) => value * change[at]);
}
