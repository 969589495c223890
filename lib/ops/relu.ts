import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { reluSpec } from "../kernels/relu.ts";
import { reluBackwardSpec } from "../kernels/relu_backward.ts";

/** Activation `y = max(x, 0)` of f32 x `[n, d]`. */
export function relu(gpu: Gpu, x: Tensor): Tensor {
  bindAxes("relu", { "x [n, d]": x.shape });
  const y = gpu.tensor(x.shape);
  gpu.run(reluSpec, [x, y], { quads: Math.ceil(x.size / 4) });
  return y;
}

/** Gradient of `relu` for `dy`, f32 `[n, d]`: dy where x > 0; at 0 it is 0, as PyTorch has it. */
export function reluBackward(gpu: Gpu, x: Tensor, dy: Tensor): Tensor {
  bindAxes("reluBackward", { "x [n, d]": x.shape, "dy [n, d]": dy.shape });
  const dx = gpu.tensor(x.shape);
  gpu.run(reluBackwardSpec, [x, dy, dx], { quads: Math.ceil(x.size / 4) });
  return dx;
}
