import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./silu_gate_backward.wgsl" with { type: "text" };

/** Gradients of `silu_gate`. Error: as there, times (|dh v σ| (1 + |g| (1 − σ))) and |dh g σ|. */
export const siluGateBackwardSpec: KernelSpec = {
  name: "silu_gate_backward",
  source,
  storage: ["read", "read", "read", "read_write", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
