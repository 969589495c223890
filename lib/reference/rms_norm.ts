import { checkLengths } from "./check.ts";

/** Lengths of a norm: `n` rows of `d` features. */
export interface NormDims {
  /** Rows. */
  n: number;
  /** Features of a row. */
  d: number;
}

/**
 * Root-mean-square norm of each row: y = w x / √(mean(x²) + eps).
 *
 * Source: Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4), with eps under the root as in Llama.
 *
 * @param x `[n, d]`.
 * @param w `[d]`.
 * @returns y, `[n, d]`.
 */
export function rmsNorm(x: Float64Array, w: Float64Array, dims: NormDims, eps: number): Float64Array {
  const { n, d } = dims;
  checkLengths("rmsNorm", { n, d }, { "x [n, d]": x, "w [d]": w });
  const y = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    const scale = inverseRms(x, i, d, eps);
    for (let j = 0; j < d; j++) y[i * d + j] = w[j] * x[i * d + j] * scale;
  }
  return y;
}

/**
 * Gradients of {@linkcode rmsNorm} for dL/dy = `dy`. With ρ = 1 / √(mean(x²) + eps) of a row:
 *
 * dw = Σ_rows dy x ρ, dx = ρ (w dy − x ρ² mean(w dy x)).
 */
export function rmsNormBackward(
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  dims: NormDims,
  eps: number,
): { dx: Float64Array; dw: Float64Array } {
  const { n, d } = dims;
  checkLengths("rmsNormBackward", { n, d }, { "x [n, d]": x, "w [d]": w, "dy [n, d]": dy });
  const dx = new Float64Array(n * d);
  const dw = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    const scale = inverseRms(x, i, d, eps);
    let dot = 0;
    for (let j = 0; j < d; j++) {
      dot += w[j] * dy[i * d + j] * x[i * d + j];
      dw[j] += dy[i * d + j] * x[i * d + j] * scale;
    }
    for (let j = 0; j < d; j++) {
      dx[i * d + j] = scale * (w[j] * dy[i * d + j] - x[i * d + j] * scale * scale * (dot / d));
    }
  }
  return { dx, dw };
}

function inverseRms(x: Float64Array, row: number, d: number, eps: number): number {
  let squares = 0;
  for (let j = 0; j < d; j++) squares += x[row * d + j] ** 2;
  return 1 / Math.sqrt(squares / d + eps);
}
