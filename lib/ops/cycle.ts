import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { cycleSpec } from "../kernels/cycle.ts";
import { cycleBackwardSpec } from "../kernels/cycle_backward.ts";

/**
 * `y[i, j] = x[i, j mod d]` for j < `wide`: the columns of f32 x `[n, d]` again and again, or the first of them where
 * `wide` < d. How MoRA brings a vector to another length.
 *
 * Source: Jiang et al. 2024, arXiv:2405.12130, §3.2, and the authors' code.
 *
 * @returns f32 `[n, wide]`.
 */
export function cycle(gpu: Gpu, x: Tensor, wide: number): Tensor {
  const { n, d } = bindAxes("cycle", { "x [n, d]": x.shape });
  const y = gpu.tensor([n, wide]);
  gpu.run(cycleSpec, [x, y], { n, d, wide });
  return y;
}

/**
 * The gradient of x in `cycle`: `dx[i, k] = Σ dy[i, j]` over all j = k (mod d), zero where there is none. Also what MoRA
 * calls compression: columns are added up in d groups.
 *
 * @param dy f32 `[n, wide]`.
 * @returns f32 `[n, d]`.
 */
export function cycleBackward(gpu: Gpu, dy: Tensor, d: number): Tensor {
  const { n, wide } = bindAxes("cycleBackward", { "dy [n, wide]": dy.shape });
  const dx = gpu.tensor([n, d]);
  gpu.run(cycleBackwardSpec, [dy, dx], { n, d, wide });
  return dx;
}
