import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { scaleColumnsSpec } from "../kernels/scale_columns.ts";
import { scaleColumnsBackwardSpec } from "../kernels/scale_columns_backward.ts";

/**
 * `y[i, j] = x[i, j] s[⌊i / t⌋, j]`: each column times a number, which another group of t = n / g rows has of its own.
 *
 * @param x f32 `[n, d]`.
 * @param s f32 `[g, d]`, where g divides n.
 * @returns f32 `[n, d]`.
 * @throws {RangeError} If shapes disagree.
 */
export function scaleColumns(gpu: Gpu, x: Tensor, s: Tensor): Tensor {
  const { d, t } = axes("scaleColumns", x, s);
  const y = gpu.tensor(x.shape);
  gpu.run(scaleColumnsSpec, [x, s, y], { size: x.size, d, t });
  return y;
}

/**
 * Adds the gradient of s in `scaleColumns`, `Σ x dy` over the rows of each group, to `into` f32 `[g, d]`.
 *
 * @throws {RangeError} If shapes disagree.
 */
export function scaleColumnsGradient(gpu: Gpu, x: Tensor, dy: Tensor, into: Tensor): void {
  const { d, t } = axes("scaleColumnsGradient", x, into);
  bindAxes("scaleColumnsGradient", { "x [n, d]": x.shape, "dy [n, d]": dy.shape });
  gpu.run(scaleColumnsBackwardSpec, [x, dy, into], { size: into.size, d, t });
}

function axes(operation: string, x: Tensor, s: Tensor): { d: number; t: number } {
  const { n, g, d } = bindAxes(operation, { "x [n, d]": x.shape, "s [g, d]": s.shape });
  if (n % g) {
    throw new RangeError(`Cannot compute ${operation} with ${g} groups: expected a divisor of ${n} rows`);
  }
  return { d, t: n / g };
}
