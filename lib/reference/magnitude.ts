import { checkLengths } from "./check.ts";

/** The Euclidean norm of each row of v `[d, k]`, `[d]`. */
export function rowNorms(v: Float64Array, { d, k }: { d: number; k: number }): Float64Array {
  checkLengths("rowNorms", { d, k }, { "v [d, k]": v });
  return Float64Array.from({ length: d }, (_, i) => Math.hypot(...v.subarray(i * k, (i + 1) * k)));
}

/**
 * y[i, k, j] = x[i, k, j] m[k] / norm[k] of x `[n, d, inner]`, m and norm `[d]`; x itself where norm is 0. With inner = 1
 * columns are scaled, with n = 1 rows. The gradient of x is that of y, scaled likewise.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, eq. (5).
 */
export function magnitudeScale(
  x: Float64Array,
  m: Float64Array,
  norm: Float64Array,
  dims: { n: number; d: number; inner: number },
): Float64Array {
  checkLengths("magnitudeScale", dims, { "x [n, d, inner]": x, "m [d]": m, "norm [d]": norm });
  return x.map((value, at) => {
    const k = Math.floor(at / dims.inner) % dims.d;
    return norm[k] ? value * m[k] / norm[k] : value;
  });
}

/** The gradient of m in `magnitudeScale` of z `[n, d]`: Σ_i dy[i, k] z[i, k] / norm[k], `[d]`; 0 where norm is 0. */
export function magnitudeGradient(
  z: Float64Array,
  norm: Float64Array,
  dy: Float64Array,
  { n, d }: { n: number; d: number },
): Float64Array {
  checkLengths("magnitudeGradient", { n, d }, { "z [n, d]": z, "norm [d]": norm, "dy [n, d]": dy });
  const dm = new Float64Array(d);
  z.forEach((value, at) => {
    const k = at % d;
    if (norm[k]) dm[k] += dy[at] * value / norm[k];
  });
  return dm;
}
