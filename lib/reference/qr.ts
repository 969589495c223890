import { checkLengths } from "./check.ts";

/** Which factors {@linkcode qr} computes. */
export interface QrOptions {
  /** Columns of W to factor, from the first; min(m, n) unless given. */
  columns?: number;
  /** All `m` columns of Q, the further ones any orthonormal completion; false unless given. */
  full?: boolean;
}

/** Factors of W: `q` `[m, c]` with orthonormal columns and `r` `[c, n]`, zero below its diagonal. */
export interface QrFactors {
  /** Q, `[m, c]`. */
  q: Float64Array;
  /** R, `[c, n]`. */
  r: Float64Array;
  /** c: `columns`, or `m` where `full`. */
  c: number;
}

/**
 * Householder QR in float64 with diag(R) >= 0: W[:, :columns] = (Q R)[:, :columns], and R = Qᵀ W beyond.
 *
 * Only the first `columns` columns are reflected, as a later column has no influence on an earlier reflector. What is
 * squared is scaled by a power of two first: no rounding, no overflow, and columns of 1e-20 beside columns of 1e15 keep
 * their own relative accuracy. A column of which nothing is left (zero, or dependent on those before it) is not
 * reflected, so Q stays orthonormal.
 *
 * Source: Golub and Van Loan 2013, Matrix Computations, 4th ed., algorithms 5.1.1 and 5.2.1; scaling and signs are
 * our own.
 *
 * @param w W, `[m, n]`.
 * @throws {RangeError} If `columns` is not in 1 … min(m, n), or W holds NaN or infinity.
 */
export function qr(
  w: Float64Array,
  { m, n }: { m: number; n: number },
  { columns = Math.min(m, n), full = false }: QrOptions = {},
): QrFactors {
  checkLengths("qr", { m, n }, { "w [m, n]": w });
  if (!(Number.isInteger(columns) && columns >= 1 && columns <= Math.min(m, n))) {
    throw new RangeError(
      `Cannot compute qr of w [${m}, ${n}] with columns: got ${columns}, expected 1 <= columns <= ${
        Math.min(m, n)
      }`,
    );
  }
  const at = w.findIndex((x) => !Number.isFinite(x));
  if (at >= 0) {
    throw new RangeError(
      `Cannot compute qr of w [${m}, ${n}]: got ${w[at]} at [${Math.floor(at / n)}, ${
        at % n
      }], expected finite numbers`,
    );
  }

  const work = Array.from({ length: n }, (_, j) => column(w, m, n, j));
  const reflectors: Reflector[] = [];
  for (let j = 0; j < columns; j++) {
    const reflector = makeReflector(work[j], j);
    reflectors.push(reflector);
    for (let l = j; l < n; l++) reflect(work[l], reflector, j);
  }

  const c = full ? m : columns;
  const q = new Float64Array(m * c);
  const r = new Float64Array(c * n);
  const signs = Float64Array.from({ length: c }, (_, i) => i < columns && work[i][i] < 0 ? -1 : 1);
  for (let i = 0; i < c; i++) {
    for (let j = i; j < n; j++) r[i * n + j] = signs[i] * work[j][i];
    const unit = new Float64Array(m);
    unit[i] = signs[i];
    for (let j = columns - 1; j >= 0; j--) reflect(unit, reflectors[j], j);
    unit.forEach((x, row) => q[row * c + i] = x);
  }
  return { q, r, c };
}

/** H = I − tau v vᵀ; `tau` = 0 is the identity. */
interface Reflector {
  v: Float64Array;
  tau: number;
}

/** The reflection that turns `x[j:]` into a multiple of the first unit vector; the length of v does not matter. */
function makeReflector(x: Float64Array, j: number): Reflector {
  const scale = powerOfTwo(x.subarray(j));
  const v = x.slice(j).map((value) => value / scale);
  const norm = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
  if (norm === 0) return { v, tau: 0 };
  v[0] += v[0] < 0 ? -norm : norm;
  return { v, tau: 2 / v.reduce((sum, value) => sum + value * value, 0) };
}

/** Applies `reflector` to `x[j:]` in place. */
function reflect(x: Float64Array, { v, tau }: Reflector, j: number): void {
  let dot = 0;
  for (let i = 0; i < v.length; i++) dot += v[i] * x[j + i];
  for (let i = 0; i < v.length; i++) x[j + i] -= tau * dot * v[i];
}

function column(w: Float64Array, m: number, n: number, j: number): Float64Array {
  return Float64Array.from({ length: m }, (_, i) => w[i * n + j]);
}

/** The power of two next to the largest magnitude of `x`; 1 for zeros. */
function powerOfTwo(x: Float64Array): number {
  const largest = x.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return largest === 0 ? 1 : 2 ** Math.floor(Math.log2(largest));
}
