import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./dropout.wgsl" with { type: "text" };

/** Inverted dropout by counter; the backward pass is the same kernel on dy. Error: eps |y|; the mask is exact. */
export const dropoutSpec: KernelSpec = {
  name: "dropout",
  source,
  storage: ["read", "read_write"],
  uniforms: [["n", "u32"], ["key0", "u32"], ["key1", "u32"], ["threshold", "u32"], ["scale", "f32"]],
  workgroups: ({ n }) => linearGrid(Math.ceil(n / 64)),
};
