/** The largest axes of rows about their mean, as far as rows have been seen. */
export interface Axes {
  /** Rows seen. */
  readonly count: number;
  /** Their mean, `[n]`. */
  readonly mean: Float64Array;
  /** Sum of the squared distances from it. */
  readonly scatter: number;
  /** Singular values, descending, `[k]`. */
  readonly s: Float64Array;
  /** Right singular vectors, row-major `[k, n]`. */
  readonly v: Float64Array;
}

/**
 * The matrix whose right singular vectors are the axes of what has been seen and of more rows: S V, the rows about
 * their own mean, and √(c m / (c + m)) times what the means are apart, for c rows seen and m more.
 *
 * Source: Ross, Lim, Lin and Yang 2008, "Incremental learning for robust visual tracking", §3.2.
 *
 * @param rows More rows, row-major `[m, n]`, m >= 1.
 * @param before Absent where nothing has been seen.
 * @returns The matrix, row-major `[k + m + 1, n]` or at first `[m, n]`, and what is known of all rows.
 */
export function stacked(
  rows: Float32Array,
  n: number,
  before?: Axes,
): { matrix: Float64Array; count: number; mean: Float64Array; scatter: number } {
  const more = rows.length / n;
  const middle = new Float64Array(n);
  rows.forEach((x, at) => middle[at % n] += x / more);
  const centred = Float64Array.from(rows, (x, at) => x - middle[at % n]);
  const spread = centred.reduce((sum, x) => sum + x * x, 0);
  if (!before) return { matrix: centred, count: more, mean: middle, scatter: spread };
  const { s, v, mean } = before;
  const count = before.count + more;
  const factor = Math.sqrt(before.count * more / count);
  const matrix = new Float64Array(v.length + centred.length + n);
  matrix.set(v.map((x, at) => s[Math.floor(at / n)] * x));
  matrix.set(centred, v.length);
  matrix.set(mean.map((x, j) => factor * (x - middle[j])), v.length + centred.length);
  const apart = mean.reduce((sum, x, j) => sum + (factor * (x - middle[j])) ** 2, 0);
  return {
    matrix,
    count,
    mean: mean.map((x, j) => (before.count * x + more * middle[j]) / count),
    scatter: before.scatter + spread + apart,
  };
}
