import { checkLengths } from "./check.ts";

/** y[j] = Σ_i x[i, j] of x `[n, d]`. */
export function columnSum(x: Float64Array, { n, d }: { n: number; d: number }): Float64Array {
  checkLengths("columnSum", { n, d }, { "x [n, d]": x });
  const y = new Float64Array(d);
  x.forEach((value, i) => y[i % d] += value);
  return y;
}
