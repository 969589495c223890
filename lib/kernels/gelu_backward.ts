import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./gelu_backward.wgsl" with { type: "text" };

/** Gradient of `gelu`. Error: that of dg in `gelu_gate_backward` for v = 1. */
export const geluBackwardSpec: KernelSpec = {
  name: "gelu_backward",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
