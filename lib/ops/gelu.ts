import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { geluSpec } from "../kernels/gelu.ts";
import { geluBackwardSpec } from "../kernels/gelu_backward.ts";

/**
 * Activation `y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2` of f32 x `[n, d]`: gelu in its tanh form.
 *
 * Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, §2.
 */
export function gelu(gpu: Gpu, x: Tensor): Tensor {
  bindAxes("gelu", { "x [n, d]": x.shape });
  const y = gpu.tensor(x.shape);
  gpu.run(geluSpec, [x, y], { quads: Math.ceil(x.size / 4) });
  return y;
}

/** Gradient of `gelu` for `dy`, f32 `[n, d]`. */
export function geluBackward(gpu: Gpu, x: Tensor, dy: Tensor): Tensor {
  bindAxes("geluBackward", { "x [n, d]": x.shape, "dy [n, d]": dy.shape });
  const dx = gpu.tensor(x.shape);
  gpu.run(geluBackwardSpec, [x, dy, dx], { quads: Math.ceil(x.size / 4) });
  return dx;
}
