/** A thin singular value decomposition, W = U diag(s) Vᵀ with k = min(m, n). */
export interface Svd {
  /** U, `[m, k]`, orthonormal columns: the left singular vectors. */
  readonly u: Float64Array;
  /** Singular values, `[k]`, descending, none negative. */
  readonly s: Float64Array;
  /** V, `[n, k]`, orthonormal columns: the right singular vectors. */
  readonly v: Float64Array;
}

/** Most sweeps over all pairs of columns; ten are usual. */
const SWEEPS = 60;

/** Below this, beside a largest entry near 1, a column counts as zero: its square would leave float64. */
const SMALLEST = 2 ** -500;

/**
 * Thin singular value decomposition of a small matrix, W = U diag(s) Vᵀ, on the host in float64.
 *
 * One-sided Jacobi: columns are turned in pairs until all are orthogonal; their lengths are then the singular values,
 * small ones included to their own relative accuracy where W is a scaled well-conditioned matrix. About
 * 10 · 3 m n² flops for m >= n (n >= m alike): a quarter of a second for 128 × 128. Deterministic; a signed pair (u, v) may come out as
 * (−u, −v). Vectors of singular values that are zero are some orthonormal completion.
 *
 * Source: Hestenes 1958, "Inversion of matrices by biorthogonalization"; largest column first: de Rijk 1989, "A
 * one-sided Jacobi algorithm for computing the singular value decomposition on a vector computer"; Golub and Van Loan
 * 2013, §8.6.
 *
 * @param w W, row-major `[m, n]`.
 * @throws {RangeError} If the shape is empty or is not that of `w`, or W holds NaN or infinity.
 *
 * @example Usage
 * ```ts
 * import { svd } from "@olora/kit";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const { s } = svd([3, 0, 0, -4], { m: 2, n: 2 });
 * assertAlmostEquals(s[0], 4);
 * assertAlmostEquals(s[1], 3);
 * ```
 */
export function svd(w: ArrayLike<number>, { m, n }: { m: number; n: number }): Svd {
  check(w, m, n);
  const tall = m >= n;
  const [rows, k] = tall ? [m, n] : [n, m];
  let largest = 0;
  for (let i = 0; i < w.length; i++) largest = Math.max(largest, Math.abs(w[i]));
  // A power of two is exact and keeps squares inside float64; subnormal entries would overflow its inverse.
  const scale = largest < 2 ** -1000 ? 2 ** -1000 : 2 ** Math.floor(Math.log2(largest));
  const columns = Array.from(
    { length: k },
    (_, j) => Float64Array.from({ length: rows }, (_, i) => (tall ? w[i * n + j] : w[j * n + i]) / scale),
  );
  const turns = Array.from(
    { length: k },
    (_, j) => Float64Array.from({ length: k }, (_, i) => Number(i === j)),
  );
  orthogonalise(columns, turns);

  const lengths = columns.map((column) => Math.sqrt(dot(column, column)));
  const order = lengths.map((_, j) => j).sort((a, b) => lengths[b] - lengths[a]);
  const units: Float64Array[] = [];
  for (const j of order) {
    units.push(lengths[j] > 0 ? columns[j].map((x) => x / lengths[j]) : completion(units, rows));
  }
  const first = flat(units, rows);
  const second = flat(order.map((j) => turns[j]), k);
  const s = Float64Array.from(order, (j) => lengths[j] * scale);
  return tall ? { u: first, s, v: second } : { u: second, s, v: first };
}

/** Turns pairs of `columns`, and of `turns` with them, until all are orthogonal to rounding. */
function orthogonalise(columns: Float64Array[], turns: Float64Array[]): void {
  const k = columns.length;
  const tolerance = Number.EPSILON * Math.sqrt(columns[0].length);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const squares = columns.map((column) => dot(column, column));
    squares.forEach((square, j) => square < SMALLEST ** 2 && columns[j].fill(0));
    let turned = false;
    for (let p = 0; p < k - 1; p++) {
      let top = p;
      for (let q = p + 1; q < k; q++) if (squares[q] > squares[top]) top = q;
      for (const list of [columns, turns, squares] as unknown[][]) {
        [list[p], list[top]] = [list[top], list[p]];
      }
      for (let q = p + 1; q < k; q++) {
        const [x, y] = [columns[p], columns[q]];
        const product = dot(x, y);
        const limit = tolerance * Math.sqrt(squares[p]) * Math.sqrt(squares[q]);
        if (!(Math.abs(product) > limit)) continue;
        turned = true;
        const zeta = (squares[q] - squares[p]) / (2 * product);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(x, y, c, c * t);
        rotate(turns[p], turns[q], c, c * t);
        squares[p] -= t * product;
        squares[q] = Math.max(0, squares[q] + t * product);
      }
    }
    if (!turned) return;
  }
  throw new RangeError(`Cannot compute svd: columns are not orthogonal after ${SWEEPS} sweeps`);
}

/** `x, y = c x − s y, s x + c y`. */
function rotate(x: Float64Array, y: Float64Array, c: number, s: number): void {
  for (let i = 0; i < x.length; i++) {
    const old = x[i];
    x[i] = c * old - s * y[i];
    y[i] = s * old + c * y[i];
  }
}

/** A unit vector orthogonal to `units`: what is left, made twice orthogonal, of the axis they hold least of. */
function completion(units: readonly Float64Array[], length: number): Float64Array {
  const held = new Float64Array(length);
  for (const unit of units) unit.forEach((x, i) => held[i] += x * x);
  const axis = held.indexOf(held.reduce((a, b) => Math.min(a, b)));
  const out = Float64Array.from({ length }, (_, i) => Number(i === axis));
  for (let pass = 0; pass < 2; pass++) {
    for (const unit of units) {
      const share = dot(unit, out);
      for (let i = 0; i < length; i++) out[i] -= share * unit[i];
    }
    const norm = Math.sqrt(dot(out, out));
    for (let i = 0; i < length; i++) out[i] /= norm;
  }
  return out;
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

/** Columns as a row-major matrix `[length, columns]`. */
function flat(columns: readonly Float64Array[], length: number): Float64Array {
  const out = new Float64Array(length * columns.length);
  columns.forEach((column, j) => column.forEach((x, i) => out[i * columns.length + j] = x));
  return out;
}

function check(w: ArrayLike<number>, m: number, n: number): void {
  if (![m, n].every((length) => Number.isSafeInteger(length) && length >= 1)) {
    throw new RangeError(`Cannot compute svd of w [${m}, ${n}]: expected whole numbers >= 1`);
  }
  if (w.length !== m * n) {
    throw new RangeError(`Cannot compute svd of w [${m}, ${n}]: got ${w.length} elements, expected ${m * n}`);
  }
  for (let i = 0; i < w.length; i++) {
    if (Number.isFinite(w[i])) continue;
    throw new RangeError(
      `Cannot compute svd of w [${m}, ${n}]: got ${w[i]} at [${Math.floor(i / n)}, ${
        i % n
      }], expected finite numbers`,
    );
  }
}
