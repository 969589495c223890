import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Phi } from "../kernels/activation.ts";
import { gateBackwardSpec, gateSpec } from "../kernels/gate.ts";

/**
 * Gated activation `h = φ(g) v`.
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6) (SwiGLU, GEGLU).
 *
 * @param phi The function of the gate; gelu is that in its tanh form.
 * @param g Gate, f32 `[n, d]`.
 * @param v Value, f32 `[n, d]`.
 */
export function gate(gpu: Gpu, phi: Phi, g: Tensor, v: Tensor): Tensor {
  bindAxes("gate", { "g [n, d]": g.shape, "v [n, d]": v.shape });
  const h = gpu.tensor(g.shape);
  gpu.run(gateSpec(phi), [g, v, h], { quads: Math.ceil(g.size / 4) });
  return h;
}

/** Gradients of `gate` for `dh`, f32 `[n, d]`. */
export function gateBackward(
  gpu: Gpu,
  phi: Phi,
  { g, v, dh }: { g: Tensor; v: Tensor; dh: Tensor },
): { dg: Tensor; dv: Tensor } {
  bindAxes("gateBackward", { "g [n, d]": g.shape, "v [n, d]": v.shape, "dh [n, d]": dh.shape });
  const dg = gpu.tensor(g.shape);
  const dv = gpu.tensor(g.shape);
  gpu.run(gateBackwardSpec(phi), [g, v, dh, dg, dv], { quads: Math.ceil(g.size / 4) });
  return { dg, dv };
}
