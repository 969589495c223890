import { checkLengths } from "./check.ts";

/** Lengths of `matvec`. */
export interface MatvecDims {
  /** Rows of W. */
  out: number;
  /** Columns of W. */
  in: number;
}

/**
 * y = W x in float64. On absolute values it gives Σ|terms|, the size that a rounding bound is stated in.
 *
 * @returns y, `[out]`.
 * @throws {RangeError} If an operand's length disagrees with `dims`.
 */
export function matvec(w: Float64Array, x: Float64Array, dims: MatvecDims): Float64Array {
  const { out, in: width } = dims;
  checkLengths("matvec", { out, in: width }, { "w [out, in]": w, "x [in]": x });
  return Float64Array.from(
    { length: out },
    (_, i) => x.reduce((sum, value, j) => sum + w[i * width + j] * value, 0),
  );
}
