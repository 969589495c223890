import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";
import { qr } from "./qr.ts";

/** Where OLoRA's factors start, in float64: A₀ `[r, n]` and B₀ `[m, r]`. */
export interface OloraStart {
  /** A₀, `[r, n]`. */
  a: Float64Array;
  /** B₀, `[m, r]`. */
  b: Float64Array;
}

/**
 * OLoRA's factors from the columns of W called `columns`: B₀ = Q d of their QR and A₀ = Qᵀ W / d. The first r columns
 * and d = 1 give the paper's.
 *
 * Source: arXiv:2406.01775v2; other columns and d are our own.
 *
 * @param w W, `[m, n]`.
 */
export function oloraStart(
  w: Float64Array,
  { m, n }: { m: number; n: number },
  columns: readonly number[],
  d = 1,
): OloraStart {
  checkLengths("oloraStart", { m, n }, { "w [m, n]": w });
  const r = columns.length;
  const panel = new Float64Array(m * r);
  for (let i = 0; i < m; i++) columns.forEach((column, j) => panel[i * r + j] = w[i * n + column]);
  const { q } = qr(panel, { m, n: r });
  const a = matmul(q, w, { m: r, n, k: m }, "tn");
  return { a: a.map((x) => x / d), b: q.map((x) => x * d) };
}

/** As `oloraStart` from the first r rows: A₀ = Qᵀ / d with Q of the QR of those rows as columns, and B₀ = W Q d. */
export function oloraRowStart(
  w: Float64Array,
  { m, n }: { m: number; n: number },
  r: number,
  d = 1,
): OloraStart {
  const turned = new Float64Array(n * m);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) turned[j * m + i] = w[i * n + j];
  const first = Array.from({ length: r }, (_, i) => i);
  const { a, b } = oloraStart(turned, { m: n, n: m }, first);
  const transposed = (x: Float64Array, rows: number, columns: number) =>
    Float64Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]);
  return { a: transposed(b, n, r).map((x) => x / d), b: transposed(a, r, m).map((x) => x * d) };
}
