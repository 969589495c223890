import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { columnSumSpec } from "../kernels/column_sum.ts";
import { rmsNormSpec, type RowLayout } from "../kernels/rms_norm.ts";
import { rmsNormBackwardSpec } from "../kernels/rms_norm_backward.ts";
import { rmsNormWeightSpec } from "../kernels/rms_norm_weight.ts";

/** What the forward pass of a norm gives. */
export interface RmsNormResult {
  /** The sum that was normed: `x` itself where there is no delta. f32 `[n, d]`. */
  h: Tensor;
  /** The normed rows, f32 `[n, d]`. */
  y: Tensor;
  /** 1 / √(mean(h²) + eps) of each row, f32 `[n]`; the backward pass wants it. */
  rho: Tensor;
}

/**
 * Adds a residual branch and norms the sum: `h = x + delta`, `y = w h / √(mean(h²) + eps)`.
 *
 * Source: Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4).
 *
 * @param x f32 `[n, d]`.
 * @param w f32 `[d]`.
 * @param options `eps` under the root; `delta` f32 `[n, d]`.
 */
export function rmsNorm(
  gpu: Gpu,
  x: Tensor,
  w: Tensor,
  options: { eps: number; delta?: Tensor },
): RmsNormResult {
  const { delta, eps } = options;
  const { n, d } = bindAxes("rmsNorm", {
    "x [n, d]": x.shape,
    "w [d]": w.shape,
    ...(delta && { "delta [n, d]": delta.shape }),
  });
  const y = gpu.tensor([n, d]);
  const rho = gpu.tensor([n]);
  const h = delta ? gpu.tensor([n, d]) : x;
  using unused = gpu.tensor([1]);
  gpu.run(rmsNormSpec(rowLayout(gpu, d)), [x, delta ?? x, w, delta ? h : unused, y, rho], {
    n,
    d,
    has_delta: Number(delta !== undefined),
    eps,
  });
  return { h, y, rho };
}

/**
 * Gradient of `rmsNorm` with respect to h (the same for `x` and `delta`): `dx = dh + ρ (w dy − h ρ² mean(w dy h))`.
 *
 * @param dy Gradient of y, f32 `[n, d]`.
 * @param dh Gradient that reaches h by other ways, f32 `[n, d]`.
 */
export function rmsNormBackward(
  gpu: Gpu,
  { h, rho, w }: { h: Tensor; rho: Tensor; w: Tensor },
  dy: Tensor,
  dh?: Tensor,
): Tensor {
  const { n, d } = bindAxes("rmsNormBackward", {
    "h [n, d]": h.shape,
    "rho [n]": rho.shape,
    "w [d]": w.shape,
    "dy [n, d]": dy.shape,
    ...(dh && { "dh [n, d]": dh.shape }),
  });
  const dx = gpu.tensor([n, d]);
  gpu.run(rmsNormBackwardSpec(rowLayout(gpu, d)), [h, w, rho, dy, dh ?? dy, dx], {
    n,
    d,
    has_dh: Number(dh !== undefined),
  });
  return dx;
}

/** Adds the gradient of a norm's weight, `Σ_rows dy h ρ`, to `into`, f32 `[d]`. */
export function rmsNormWeight(
  gpu: Gpu,
  { h, rho }: { h: Tensor; rho: Tensor },
  dy: Tensor,
  into: Tensor,
): void {
  const { n, d } = bindAxes("rmsNormWeight", {
    "h [n, d]": h.shape,
    "rho [n]": rho.shape,
    "dy [n, d]": dy.shape,
    "into [d]": into.shape,
  });
  const rows = 64;
  const chunks = Math.ceil(n / rows);
  using part = gpu.tensor([chunks, d]);
  gpu.run(rmsNormWeightSpec, [h, rho, dy, part], { n, d, rows });
  gpu.run(columnSumSpec, [part, into], { n: chunks, d, accumulate: 1 });
}

/** One invocation a row where barriers are dear, a whole workgroup on hardware; vectors where rows are made of them. */
export function rowLayout(gpu: Gpu, d: number): RowLayout {
  return { lanes: gpu.info.isSoftware ? 1 : 64, width: d % 4 ? 1 : 4 };
}
