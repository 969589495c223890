import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./relu_backward.wgsl" with { type: "text" };

/** Gradient of `relu`. Exact. */
export const reluBackwardSpec: KernelSpec = {
  name: "relu_backward",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
