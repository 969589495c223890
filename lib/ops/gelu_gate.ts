import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { geluGateSpec } from "../kernels/gelu_gate.ts";
import { geluGateBackwardSpec } from "../kernels/gelu_gate_backward.ts";

/**
 * Gated activation `h = gelu(g) v`, gelu in its tanh form `g (1 + tanh(√(2/π) (g + 0.044715 g³))) / 2`.
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6) (GEGLU); Hendrycks and Gimpel 2016, arXiv:1606.08415, §2.
 *
 * @param g Gate, f32 `[n, d]`.
 * @param v Value, f32 `[n, d]`.
 */
export function geluGate(gpu: Gpu, g: Tensor, v: Tensor): Tensor {
  bindAxes("geluGate", { "g [n, d]": g.shape, "v [n, d]": v.shape });
  const h = gpu.tensor(g.shape);
  gpu.run(geluGateSpec, [g, v, h], { quads: Math.ceil(g.size / 4) });
  return h;
}

/** Gradients of `geluGate` for `dh`, f32 `[n, d]`. */
export function geluGateBackward(gpu: Gpu, g: Tensor, v: Tensor, dh: Tensor): { dg: Tensor; dv: Tensor } {
  bindAxes("geluGateBackward", { "g [n, d]": g.shape, "v [n, d]": v.shape, "dh [n, d]": dh.shape });
  const dg = gpu.tensor(g.shape);
  const dv = gpu.tensor(g.shape);
  gpu.run(geluGateBackwardSpec, [g, v, dh, dg, dv], { quads: Math.ceil(g.size / 4) });
  return { dg, dv };
}
