import { checkLengths } from "./check.ts";

/** y[i, j] = x[i, j] + b[j] of x `[n, d]` and b `[d]`; the gradient of b is the column sums of dL/dy. */
export function bias(x: Float64Array, b: Float64Array, { n, d }: { n: number; d: number }): Float64Array {
  checkLengths("bias", { n, d }, { "x [n, d]": x, "b [d]": b });
  return x.map((value, i) => value + b[i % d]);
}
