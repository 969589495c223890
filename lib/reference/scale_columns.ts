import { checkLengths } from "./check.ts";

/** Lengths of `scaleColumns`: g groups of t rows of d columns. */
export interface ScaleColumnsDims {
  /** Groups of rows. */
  g: number;
  /** Rows of a group. */
  t: number;
  /** Columns. */
  d: number;
}

/** y `[g t, d]`, y[i, j] = x[i, j] s[⌊i / t⌋, j]. */
export function scaleColumns(x: Float64Array, s: Float64Array, { g, t, d }: ScaleColumnsDims): Float64Array {
  checkLengths("scaleColumns", { g, t, d }, { "x [g, t, d]": x, "s [g, d]": s });
  return x.map((value, at) => value * s[Math.floor(at / (t * d)) * d + at % d]);
}

/** The gradient of s, `[g, d]`: Σ x dy over the rows of each group. */
export function scaleColumnsGradient(
  x: Float64Array,
  dy: Float64Array,
  { g, t, d }: ScaleColumnsDims,
): Float64Array {
  checkLengths("scaleColumnsGradient", { g, t, d }, { "x [g, t, d]": x, "dy [g, t, d]": dy });
  const ds = new Float64Array(g * d);
  x.forEach((value, at) => ds[Math.floor(at / (t * d)) * d + at % d] += value * dy[at]);
  return ds;
}
