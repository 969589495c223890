import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./gelu.wgsl" with { type: "text" };

/** `y = x σ(z)` with `z = √(8/π) (x + 0.044715 x³)`, gelu in its tanh form. Error: as `gelu_gate` for v = 1. */
export const geluSpec: KernelSpec = {
  name: "gelu",
  source,
  storage: ["read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
