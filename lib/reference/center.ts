import { checkLengths } from "./check.ts";
import type { NormDims } from "./rms_norm.ts";

/**
 * y = x − mean(x) of each row of x `[n, d]`; the gradient of x is dL/dy centered in the same way.
 *
 * Source: Ba et al. 2016, arXiv:1607.06450, eq. (4): a layer norm is this, then `rmsNorm`, then `bias`.
 */
export function center(x: Float64Array, { n, d }: NormDims): Float64Array {
  checkLengths("center", { n, d }, { "x [n, d]": x });
  const y = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    const row = x.subarray(i * d, (i + 1) * d);
    const mean = row.reduce((sum, value) => sum + value, 0) / d;
    for (let j = 0; j < d; j++) y[i * d + j] = row[j] - mean;
  }
  return y;
}
