import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/** Lengths of a layer with AdaLoRA. */
export interface AdaloraDims {
  /** Output features. */
  out: number;
  /** Input features. */
  in: number;
  /** Triplets. */
  r: number;
}

/** P `[out, r]`, e `[r]` and Q `[r, in]`. */
export interface SingularFactors {
  /** P, `[out, r]`. */
  p: Float64Array;
  /** e, `[r]`. */
  e: Float64Array;
  /** Q, `[r, in]`. */
  q: Float64Array;
}

/** P diag(e) Q, `[out, in]`. Source: Zhang et al. 2023, arXiv:2303.10512, eq. (3). */
export function adaloraMatrix(
  { p, e, q }: SingularFactors,
  { out, in: width, r }: AdaloraDims,
): Float64Array {
  checkLengths("adaloraMatrix", { out, in: width, r }, { "p [out, r]": p, "e [r]": e, "q [r, in]": q });
  const scaled = p.map((value, at) => value * e[at % r]);
  return matmul(scaled, q, { m: out, n: width, k: r });
}

/** How far the columns of X `[m, r]` are from orthonormal: ‖XᵀX − I‖_F and its gradient `[m, r]`, 2 X (XᵀX − I) / ‖·‖. */
export function orthogonality(
  x: Float64Array,
  { m, r }: { m: number; r: number },
): { value: number; gradient: Float64Array } {
  checkLengths("orthogonality", { m, r }, { "x [m, r]": x });
  const excess = matmul(x, x, { m: r, n: r, k: m }, "tn").map((value, at) =>
    value - Number(at % (r + 1) === 0)
  );
  const value = Math.sqrt(excess.reduce((sum, g) => sum + g * g, 0));
  const product = matmul(x, excess, { m, n: r, k: r });
  return { value, gradient: product.map((g) => value && 2 * g / value) };
}
