import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { columnSumSpec } from "../kernels/column_sum.ts";
import { magnitudeGradientSpec } from "../kernels/magnitude_gradient.ts";
import { magnitudeNormsSpec } from "../kernels/magnitude_norms.ts";
import { magnitudeScaleSpec } from "../kernels/magnitude_scale.ts";
import { rowLayout } from "./rms_norm.ts";
import { type RowRange, rowRanges, rowsOf } from "./row_ranges.ts";

/** What the rows of a weight are scaled to, and their norms: m / ‖v‖. */
export interface Magnitude {
  /** m, f32 `[d]`. */
  m: Tensor;
  /** ‖v‖ of each row, f32 `[d]`, from `rowNorms`. */
  norm: Tensor;
}

/** The Euclidean norm of each row of f32 v `[d, k]`, as f32 `[d]`: the same bits for the same rows. */
export function rowNorms(gpu: Gpu, v: Tensor): Tensor {
  const { d, k } = bindAxes("rowNorms", { "v [d, k]": v.shape });
  const norm = gpu.tensor([d]);
  for (const range of rowRanges(gpu, d, [v, asColumn(norm)])) {
    const parts = [rowsOf(v, range), part(norm, range)];
    gpu.run(magnitudeNormsSpec(rowLayout(gpu, k)), parts, { n: range.rows, d: k });
  }
  return norm;
}

/**
 * Rows of f32 x `[d, k]` times m / ‖v‖. A row for which m = ‖v‖ keeps its bits; so does one for which ‖v‖ = 0, as it has no
 * direction.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, eq. (5); what a row of zeros becomes is our own (by the equation, NaN).
 */
export function rescaleRows(gpu: Gpu, x: Tensor, { m, norm }: Magnitude): Tensor {
  const { d, k } = bindAxes("rescaleRows", { "x [d, k]": x.shape, "m [d]": m.shape, "norm [d]": norm.shape });
  const y = gpu.tensor(x.shape);
  for (const range of rowRanges(gpu, d, [x, y, asColumn(m)])) {
    const parts = [rowsOf(x, range), part(m, range), part(norm, range), rowsOf(y, range)];
    gpu.run(magnitudeScaleSpec, parts, { size: range.rows * k, d: range.rows, inner: k });
  }
  return y;
}

/** Columns of f32 x `[n, d]` times m / ‖v‖, as `rescaleRows`: what x `[n, k]` times the scaled rows of v `[d, k]` is. */
export function rescaleColumns(gpu: Gpu, x: Tensor, { m, norm }: Magnitude): Tensor {
  const { d } = bindAxes("rescaleColumns", { "x [n, d]": x.shape, "m [d]": m.shape, "norm [d]": norm.shape });
  const y = gpu.tensor(x.shape);
  gpu.run(magnitudeScaleSpec, [x, m, norm, y], { size: x.size, d, inner: 1 });
  return y;
}

/** Adds the gradient of m in `rescaleColumns` of z, `Σ_rows dy z / ‖v‖`, to `into`, f32 `[d]`. */
export function magnitudeGradient(
  gpu: Gpu,
  { z, norm }: { z: Tensor; norm: Tensor },
  dy: Tensor,
  into: Tensor,
): void {
  const { n, d } = bindAxes("magnitudeGradient", {
    "z [n, d]": z.shape,
    "norm [d]": norm.shape,
    "dy [n, d]": dy.shape,
    "into [d]": into.shape,
  });
  const rows = 64;
  const chunks = Math.ceil(n / rows);
  using sums = gpu.tensor([chunks, d]);
  gpu.run(magnitudeGradientSpec, [z, norm, dy, sums], { n, d, rows });
  gpu.run(columnSumSpec, [sums, into], { n: chunks, d, accumulate: 1 });
}

function asColumn(vector: Tensor): Tensor {
  return vector.view([vector.size, 1]);
}

function part(vector: Tensor, { first, rows }: RowRange): Tensor {
  return vector.view([rows], first);
}
