import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/** Lengths of a linear layer: `n` rows of `in` features become `n` rows of `out`. */
export interface LinearDims {
  /** Rows. */
  n: number;
  /** Input features. */
  in: number;
  /** Output features. */
  out: number;
}

/** A low-rank branch s (x Aᵀ Bᵀ − x A₀ᵀ B₀ᵀ) beside a weight `[out, in]`. */
export interface LinearAdapter {
  /** Rank r. */
  rank: number;
  /** s = alpha / rank. */
  scale: number;
  /** A, `[r, in]`. */
  a: Float64Array;
  /** B, `[out, r]`. */
  b: Float64Array;
  /** Frozen starting factor A₀, `[r, in]`; absent where the branch starts at zero. */
  a0?: Float64Array;
  /** Frozen starting factor B₀, `[out, r]`. */
  b0?: Float64Array;
}

/**
 * Linear layer with an optional adapter branch: y = x Wᵀ + s (drop(x) Aᵀ Bᵀ − x A₀ᵀ B₀ᵀ).
 *
 * On absolute values (and with −|B₀|) it gives Σ|terms|. Source: Hu et al. 2021, arXiv:2106.09685, eq. (3), and
 * the non-mutating form of OLoRA's start (Büyükakyüz 2024, arXiv:2406.01775), where the base stays W.
 *
 * @param x `[n, in]`.
 * @param w `[out, in]`.
 * @param mask Dropout mask of x from {@linkcode dropoutMask}, `[n, in]`; it acts on the trainable branch alone.
 * @returns y, `[n, out]`.
 */
export function linear(
  x: Float64Array,
  w: Float64Array,
  dims: LinearDims,
  adapter?: LinearAdapter,
  mask?: Float64Array,
): Float64Array {
  const { n, in: k, out } = dims;
  checkLengths("linear", { ...dims }, { "x [n, in]": x, "w [out, in]": w });
  const y = matmul(x, w, { m: n, n: out, k }, "nt");
  if (!adapter) return y;
  const { rank: r, scale, a, b, a0, b0 } = adapter;
  const branch = lowRank(multiply(x, mask), a, b, r, dims);
  if (a0 && b0) add(branch, lowRank(x, a0, b0, r, dims), -1);
  add(y, branch, scale);
  return y;
}

/** Gradients of {@linkcode linear}. */
export interface LinearGradients {
  /** dL/dx, `[n, in]`. */
  dx: Float64Array;
  /** dL/dW, `[out, in]`. */
  dw: Float64Array;
  /** dL/dA, `[r, in]`, with an adapter. */
  da?: Float64Array;
  /** dL/dB, `[out, r]`, with an adapter. */
  db?: Float64Array;
}

/**
 * Gradients of {@linkcode linear} for dL/dy = `dy`, `[n, out]`:
 *
 * dW = dyᵀ x, dB = s dyᵀ (drop(x) Aᵀ), dA = s (dy B)ᵀ drop(x), dx = dy W + s (drop(dy B A) − dy B₀ A₀).
 */
export function linearBackward(
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  dims: LinearDims,
  adapter?: LinearAdapter,
  mask?: Float64Array,
): LinearGradients {
  const { n, in: k, out } = dims;
  checkLengths("linearBackward", { ...dims }, { "x [n, in]": x, "w [out, in]": w, "dy [n, out]": dy });
  const dx = matmul(dy, w, { m: n, n: k, k: out });
  const dw = matmul(dy, x, { m: out, n: k, k: n }, "tn");
  if (!adapter) return { dx, dw };
  const { rank: r, scale, a, b, a0, b0 } = adapter;
  const dropped = multiply(x, mask);
  const u = matmul(dropped, a, { m: n, n: r, k }, "nt");
  const g = times(matmul(dy, b, { m: n, n: r, k: out }), scale);
  const da = matmul(g, dropped, { m: r, n: k, k: n }, "tn");
  const db = times(matmul(dy, u, { m: out, n: r, k: n }, "tn"), scale);
  add(dx, multiply(matmul(g, a, { m: n, n: k, k: r }), mask), 1);
  if (a0 && b0) {
    const g0 = matmul(dy, b0, { m: n, n: r, k: out });
    add(dx, matmul(g0, a0, { m: n, n: k, k: r }), -scale);
  }
  return { dx, dw, da, db };
}

/** x Aᵀ Bᵀ. */
function lowRank(
  x: Float64Array,
  a: Float64Array,
  b: Float64Array,
  r: number,
  dims: LinearDims,
): Float64Array {
  const { n, in: k, out } = dims;
  return matmul(matmul(x, a, { m: n, n: r, k }, "nt"), b, { m: n, n: out, k: r }, "nt");
}

function multiply(x: Float64Array, mask?: Float64Array): Float64Array {
  return mask ? x.map((value, i) => value * mask[i]) : x;
}

function times(x: Float64Array, factor: number): Float64Array {
  return x.map((value) => value * factor);
}

function add(into: Float64Array, x: Float64Array, factor: number): void {
  for (let i = 0; i < into.length; i++) into[i] += factor * x[i];
}
