import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./gelu_gate_backward.wgsl" with { type: "text" };

/**
 * Gradients of `gelu_gate`. Error: as there, times (|dh v σ| (1 + |g z'| (1 − σ))) and |dh g σ|, and for dg another
 * 5 eps of |dh v σ g z' (1 − σ)|, as z enters twice.
 */
export const geluGateBackwardSpec: KernelSpec = {
  name: "gelu_gate_backward",
  source,
  storage: ["read", "read", "read", "read_write", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
