/**
 * The first `count` columns that QR with column pivoting takes: each time the one whose part orthogonal to the columns
 * taken is longest; of equals the first.
 *
 * Source: Businger and Golub 1965, "Linear least squares solutions by Householder transformations"; norms are updated
 * as in Golub and Van Loan 2013, §5.4.2, and computed again where cancellation has eaten half of the digits. Float64 on
 * the host, 4 m n `count` operations.
 *
 * @param w Row-major `[m, n]`.
 * @returns Indices of columns, in the order in which they are taken.
 * @throws {RangeError} If `count` exceeds min(m, n).
 */
export function columnPivots(
  w: ArrayLike<number>,
  [m, n]: readonly [number, number],
  count: number,
): number[] {
  if (!(count >= 0 && count <= Math.min(m, n))) {
    throw new RangeError(
      `Cannot take ${count} pivots: expected at most min(m, n) = ${Math.min(m, n)} columns`,
    );
  }
  const rest = Float64Array.from(w);
  const norms = new Float64Array(n);
  const full = new Float64Array(n);
  const normOf = (j: number) => {
    let sum = 0;
    for (let i = 0; i < m; i++) sum += rest[i * n + j] ** 2;
    return sum;
  };
  for (let j = 0; j < n; j++) norms[j] = full[j] = normOf(j);
  const taken: number[] = [];
  const products = new Float64Array(n);
  while (taken.length < count) {
    let best = -1;
    for (let j = 0; j < n; j++) {
      if (!taken.includes(j) && (best < 0 || norms[j] > norms[best])) best = j;
    }
    taken.push(best);
    const length = Math.sqrt(normOf(best));
    if (length === 0) continue;
    products.fill(0);
    for (let i = 0; i < m; i++) {
      const x = rest[i * n + best] / length;
      for (let j = 0; j < n; j++) products[j] += x * rest[i * n + j];
    }
    for (let i = 0; i < m; i++) {
      const x = rest[i * n + best] / length;
      for (let j = 0; j < n; j++) rest[i * n + j] -= x * products[j];
    }
    for (let j = 0; j < n; j++) {
      norms[j] = Math.max(0, norms[j] - products[j] ** 2);
      if (norms[j] < 1e-8 * full[j]) norms[j] = full[j] = normOf(j);
    }
  }
  return taken;
}
