import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./relu.wgsl" with { type: "text" };

/** `y = max(x, 0)`. Exact. */
export const reluSpec: KernelSpec = {
  name: "relu",
  source,
  storage: ["read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
