/**
 * The one place where tests take their tolerances from. Only web APIs: the kernel suite runs it in a browser too.
 */

/** Spacing of float32 at 1, i.e. twice the unit roundoff: one rounded operation is off by at most EPS / 2 of its result. */
export const EPS = 2 ** -23;

/** Relative error of `exp` on the poorest known driver, near −87. WGSL grants 3 + 2|x| units in the last place at x. */
export const EXP_GRANT = 33 * EPS;

/** Absolute error of `log` on the poorest known driver. WGSL grants 4 EPS on [0.5, 2] and 3 units elsewhere. */
export const LOG_GRANT = 10 * EPS;

/** Smallest normal float32. A device may flush anything smaller to zero (SwiftShader does). */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * Bound on the error of float32 sums: `EPS · √terms · magnitude + grant · magnitude`, entry by entry.
 *
 * A sum of n rounded terms is off by at most about n · EPS / 2 · Σ|terms|; roundings of random sign give √n in
 * place of n. EPS rather than EPS / 2 pays for the rounding of each product before it is added, so no further
 * constant is needed; the smallest normal is added once a term because subnormals may be flushed.
 *
 * @param terms Number of terms added up for one entry (1 for an elementwise kernel).
 * @param magnitude Σ|terms| of each entry, from the float64 twin; not the result itself, which may cancel.
 * @param grant Relative accuracy that WGSL grants the functions used, e.g. `3 * EPS` for one `exp`.
 * @returns Absolute bound of each entry.
 */
export function bound(terms: number, magnitude: ArrayLike<number>, grant = 0): Float64Array {
  const relative = EPS * Math.sqrt(Math.max(terms, 1)) + grant;
  return Float64Array.from(magnitude, (m) => relative * Math.abs(m) + Math.max(terms, 1) * SMALLEST_NORMAL);
}

/**
 * Fails unless every |actual - expected| is within its bound, naming the entry furthest out.
 *
 * NaN and infinity must be matched by the same value. A bound of 0 asks for equality.
 *
 * @returns The largest ratio of error to bound, for a test that reports it.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: ArrayLike<number> | number,
  label: string,
): number {
  if (actual.length !== expected.length) {
    throw new Error(`${label}: got ${actual.length} entries, expected ${expected.length}`);
  }
  if (typeof bound !== "number" && bound.length !== expected.length) {
    throw new Error(`${label}: got ${bound.length} bounds for ${expected.length} entries`);
  }
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const ratio = errorRatio(actual[i], expected[i], typeof bound === "number" ? bound : bound[i]);
    if (ratio > worst) [worst, at] = [ratio, i];
  }
  if (worst > 1) {
    const limit = typeof bound === "number" ? bound : bound[at];
    throw new Error(
      `${label}: entry ${at} of ${expected.length} is ${actual[at]}, expected ${
        expected[at]
      } within ${limit} ` +
        `(off by ${worst.toPrecision(3)} times that)`,
    );
  }
  return worst;
}

function errorRatio(actual: number, expected: number, bound: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  if (!Number.isFinite(actual) || !Number.isFinite(expected) || !(bound > 0)) return Infinity;
  return Math.abs(actual - expected) / bound;
}

/** The largest difference between entries of two lists of rows. */
export function furthest(x: readonly ArrayLike<number>[], y: readonly ArrayLike<number>[]): number {
  return Math.max(...x.flatMap((row, i) => Array.from(row, (value, j) => Math.abs(value - y[i][j]))));
}
