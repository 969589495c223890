import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { biasSpec } from "../kernels/bias.ts";
import { columnSumSpec } from "../kernels/column_sum.ts";

/** `y[i, j] = x[i, j] + b[j]` for f32 x `[n, d]` and b `[d]`. */
export function bias(gpu: Gpu, x: Tensor, b: Tensor): Tensor {
  const { d } = bindAxes("bias", { "x [n, d]": x.shape, "b [d]": b.shape });
  const y = gpu.tensor(x.shape);
  gpu.run(biasSpec, [x, b, y], { size: x.size, d });
  return y;
}

/** Adds the gradient of a bias, the column sums of `dy` f32 `[n, d]`, to `into` f32 `[d]`. */
export function biasGradient(gpu: Gpu, dy: Tensor, into: Tensor): void {
  const { n, d } = bindAxes("biasGradient", { "dy [n, d]": dy.shape, "into [d]": into.shape });
  gpu.run(columnSumSpec, [dy, into], { n, d, accumulate: 1 });
}
