import { type Svd, svd } from "./svd.ts";

/**
 * Thin singular value decomposition of a product of two factors, B A = U diag(s) Vᵀ, on the host in float64 and without
 * forming it: B = U₁ S₁ V₁ᵀ, then S₁ V₁ᵀ A = X S Vᵀ, and U = U₁ X. About 10 (m + n) k² flops for k <= min(m, n).
 *
 * @param b B, row-major `[m, k]`.
 * @param a A, row-major `[k, n]`.
 * @returns min(m, k, n) singular values with their vectors.
 * @throws {RangeError} If the shapes are not those of B and A, or a factor holds NaN or infinity.
 */
export function svdOfProduct(
  b: ArrayLike<number>,
  a: ArrayLike<number>,
  { m, n, k }: { m: number; n: number; k: number },
): Svd {
  const left = svd(b, { m, n: k });
  const inner = left.s.length;
  const rest = new Float64Array(inner * n);
  for (let i = 0; i < inner; i++) {
    for (let l = 0; l < k; l++) {
      const factor = left.s[i] * left.v[l * inner + i];
      for (let j = 0; j < n; j++) rest[i * n + j] += factor * a[l * n + j];
    }
  }
  const { u, s, v } = svd(rest, { m: inner, n });
  const width = s.length;
  const turned = new Float64Array(m * width);
  for (let i = 0; i < m; i++) {
    for (let l = 0; l < inner; l++) {
      const factor = left.u[i * inner + l];
      for (let j = 0; j < width; j++) turned[i * width + j] += factor * u[l * width + j];
    }
  }
  return { u: turned, s, v };
}
