import { checkLengths } from "./check.ts";

/**
 * Lengths of a product: C is `[m, n]` and the sum runs over `k`; `batch` independent products (default 1) lie
 * behind one another.
 */
export interface MatmulDims {
  /** Rows of C. */
  m: number;
  /** Columns of C. */
  n: number;
  /** Length of the sum. */
  k: number;
  /** Independent products. */
  batch?: number;
}

/**
 * How the operands are stored. `nn`: A `[m, k]`, B `[k, n]`. `nt`: A `[m, k]`, B `[n, k]`. `tn`: A `[k, m]`,
 * B `[k, n]`.
 */
export type Transposition = "nn" | "nt" | "tn";

/**
 * Matrix product in float64, C = A B, A Bᵀ or Aᵀ B. On absolute values it gives Σ|terms|, the size that a
 * rounding bound is stated in.
 *
 * @returns C, `[batch, m, n]`.
 * @throws {RangeError} If an operand's length disagrees with `dims`.
 */
export function matmul(
  a: Float64Array,
  b: Float64Array,
  dims: MatmulDims,
  transposition: Transposition = "nn",
): Float64Array {
  const { m, n, k, batch = 1 } = dims;
  checkLengths("matmul", { m, n, k, batch }, { "a [batch, m, k]": a, "b [batch, k, n]": b });
  const [aRow, aSum] = transposition === "tn" ? [1, m] : [k, 1];
  const [bSum, bColumn] = transposition === "nt" ? [1, k] : [n, 1];
  const c = new Float64Array(batch * m * n);
  for (let z = 0; z < batch; z++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let p = z * m * k + i * aRow;
        let q = z * k * n + j * bColumn;
        let sum = 0;
        for (let l = 0; l < k; l++, p += aSum, q += bSum) sum += a[p] * b[q];
        c[(z * m + i) * n + j] = sum;
      }
    }
  }
  return c;
}
