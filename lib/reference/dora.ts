import { checkLengths } from "./check.ts";
import { effectiveWeight } from "./effective_weight.ts";
import { type LinearAdapter, linearBackward, type LinearDims, type LinearGradients } from "./linear.ts";
import { magnitudeGradient, magnitudeScale, rowNorms } from "./magnitude.ts";
import { matmul } from "./matmul.ts";

/** An adapter whose weight V = W + s (B A − B₀ A₀) gets rows of length m. */
export interface DoraAdapter extends LinearAdapter {
  /** m, `[out]`. */
  magnitude: Float64Array;
}

/**
 * y = (m / ‖V‖) ∘ (drop(x) Vᵀ) + (x − drop(x)) (W − s B₀ A₀)ᵀ with V = W + s (B A − B₀ A₀) and ‖V‖ the norms of its rows.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, eq. (5); with dropout, what huggingface/peft 0.21 computes.
 *
 * @param x `[n, in]`.
 * @param w `[out, in]`.
 * @param mask Dropout mask of x, `[n, in]`.
 * @param norm ‖V‖, `[out]`; given where it counts as a constant, as the paper's §4.3 has it in the gradient.
 * @returns y, `[n, out]`.
 */
export function dora(
  x: Float64Array,
  w: Float64Array,
  dims: LinearDims,
  adapter: DoraAdapter,
  mask?: Float64Array,
  norm: Float64Array = normsOf(w, dims, adapter),
): Float64Array {
  const { n, in: k, out } = dims;
  checkLengths("dora", { ...dims }, {
    "x [n, in]": x,
    "w [out, in]": w,
    "magnitude [out]": adapter.magnitude,
  });
  const product = { m: n, n: out, k };
  const dropped = mask ? x.map((value, i) => value * mask[i]) : x;
  const z = matmul(dropped, effectiveWeight(w, adapter, dims), product, "nt");
  const y = magnitudeScale(z, adapter.magnitude, norm, { n, d: out, inner: 1 });
  if (!mask) return y;
  const rest = matmul(x.map((value, i) => value - dropped[i]), residual(w, dims, adapter), product, "nt");
  return y.map((value, i) => value + rest[i]);
}

/** Gradients of {@linkcode dora}. */
export interface DoraGradients extends LinearGradients {
  /** dL/dm, `[out]`. */
  dm: Float64Array;
}

/**
 * Gradients of {@linkcode dora} for dL/dy = `dy`, `[n, out]`, ‖V‖ being a constant: with dz = (m / ‖V‖) ∘ dy those of
 * `linear` for dz, and dm = Σ_rows dy z / ‖V‖.
 */
export function doraBackward(
  x: Float64Array,
  w: Float64Array,
  dy: Float64Array,
  dims: LinearDims,
  adapter: DoraAdapter,
  mask?: Float64Array,
): DoraGradients {
  const { n, in: k, out } = dims;
  const norm = normsOf(w, dims, adapter);
  const dropped = mask ? x.map((value, i) => value * mask[i]) : x;
  const z = matmul(dropped, effectiveWeight(w, adapter, dims), { m: n, n: out, k }, "nt");
  const dm = magnitudeGradient(z, norm, dy, { n, d: out });
  const dz = magnitudeScale(dy, adapter.magnitude, norm, { n, d: out, inner: 1 });
  const inner = linearBackward(dropped, w, dz, dims, adapter);
  if (!mask) return { ...inner, dm };
  const rest = linearBackward(x.map((value, i) => value - dropped[i]), residual(w, dims, adapter), dy, dims);
  return {
    ...inner,
    dx: inner.dx.map((value, i) => mask[i] * value + (1 - mask[i]) * rest.dx[i]),
    dw: inner.dw.map((value, i) => value + rest.dw[i]),
    dm,
  };
}

/** W − s B₀ A₀. */
function residual(w: Float64Array, dims: LinearDims, adapter: DoraAdapter): Float64Array {
  return effectiveWeight(w, { ...adapter, b: adapter.b.map(() => 0) }, dims);
}

function normsOf(w: Float64Array, dims: LinearDims, adapter: DoraAdapter): Float64Array {
  return rowNorms(effectiveWeight(w, adapter, dims), { d: dims.out, k: dims.in });
}
