import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { activationBackwardSpec, activationSpec, type Phi } from "../kernels/activation.ts";

/**
 * Activation `y = φ(x)` of f32 x `[n, d]`.
 *
 * Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, §2 (gelu, here in its tanh form, and silu).
 */
export function activate(gpu: Gpu, phi: Phi, x: Tensor): Tensor {
  bindAxes("activate", { "x [n, d]": x.shape });
  const y = gpu.tensor(x.shape);
  gpu.run(activationSpec(phi), [x, y], { quads: Math.ceil(x.size / 4) });
  return y;
}

/** Gradient of `activate` for `dy`, f32 `[n, d]`; relu's at 0 is 0, as PyTorch has it. */
export function activateBackward(gpu: Gpu, phi: Phi, x: Tensor, dy: Tensor): Tensor {
  bindAxes("activateBackward", { "x [n, d]": x.shape, "dy [n, d]": dy.shape });
  const dx = gpu.tensor(x.shape);
  gpu.run(activationBackwardSpec(phi), [x, dy, dx], { quads: Math.ceil(x.size / 4) });
  return dx;
}
