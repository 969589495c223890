import { checkLengths } from "./check.ts";

/** Lengths of `cycle`: n rows of d columns, `wide` columns of the result. */
export interface CycleDims {
  /** Rows. */
  n: number;
  /** Columns of x. */
  d: number;
  /** Columns of y. */
  wide: number;
}

/** y `[n, wide]`, y[i, j] = x[i, j mod d]. */
export function cycle(x: Float64Array, { n, d, wide }: CycleDims): Float64Array {
  checkLengths("cycle", { n, d, wide }, { "x [n, d]": x });
  return Float64Array.from({ length: n * wide }, (_, at) => x[Math.floor(at / wide) * d + at % wide % d]);
}

/** dx `[n, d]`, dx[i, k] = Σ dy[i, j] over j = k (mod d): the transpose of `cycle`. */
export function cycleBackward(dy: Float64Array, { n, d, wide }: CycleDims): Float64Array {
  checkLengths("cycleBackward", { n, d, wide }, { "dy [n, wide]": dy });
  const dx = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < wide; j++) dx[i * d + j % d] += dy[i * wide + j];
  return dx;
}
