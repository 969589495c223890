import type { Svd } from "./svd.ts";

/**
 * Triplets of W ≈ U diag(s) Vᵀ as two factors of one size: B = U √S and A = √S Vᵀ, so that B A is their part of W.
 *
 * @param shape m and n of W, how many triplets are taken, `rank`, and the number of the first one (default 0).
 * @param divisor S is divided by it, dimensionless. Default 1.
 * @returns A, row-major f32 `[rank, n]`, and B, `[m, rank]`.
 */
export function balanced(
  { u, s, v }: Svd,
  { m, n, rank, first = 0 }: { m: number; n: number; rank: number; first?: number },
  divisor = 1,
): { a: Float32Array<ArrayBuffer>; b: Float32Array<ArrayBuffer> } {
  const k = s.length;
  const root = Array.from({ length: rank }, (_, i) => Math.sqrt(s[first + i] / divisor));
  const a = new Float32Array(rank * n);
  const b = new Float32Array(m * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < n; j++) a[i * n + j] = root[i] * v[j * k + first + i];
    for (let j = 0; j < m; j++) b[j * rank + i] = root[i] * u[j * k + first + i];
  }
  return { a, b };
}
