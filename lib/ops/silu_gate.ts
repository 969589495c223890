import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { siluGateSpec } from "../kernels/silu_gate.ts";
import { siluGateBackwardSpec } from "../kernels/silu_gate_backward.ts";

/**
 * Gated activation `h = g σ(g) v`.
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6).
 *
 * @param g Gate, f32 `[n, d]`.
 * @param v Value, f32 `[n, d]`.
 */
export function siluGate(gpu: Gpu, g: Tensor, v: Tensor): Tensor {
  bindAxes("siluGate", { "g [n, d]": g.shape, "v [n, d]": v.shape });
  const h = gpu.tensor(g.shape);
  gpu.run(siluGateSpec, [g, v, h], { quads: Math.ceil(g.size / 4) });
  return h;
}

/** Gradients of `siluGate` for `dh`, f32 `[n, d]`. */
export function siluGateBackward(gpu: Gpu, g: Tensor, v: Tensor, dh: Tensor): { dg: Tensor; dv: Tensor } {
  bindAxes("siluGateBackward", { "g [n, d]": g.shape, "v [n, d]": v.shape, "dh [n, d]": dh.shape });
  const dg = gpu.tensor(g.shape);
  const dv = gpu.tensor(g.shape);
  gpu.run(siluGateBackwardSpec, [g, v, dh, dg, dv], { quads: Math.ceil(g.size / 4) });
  return { dg, dv };
}
