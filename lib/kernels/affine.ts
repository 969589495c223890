import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./affine.wgsl" with { type: "text" };

/** `y = scale x + offset`, optionally added to y. Error: 3/2 eps (|scale x| + |offset| + |y|). */
export const affineSpec: KernelSpec = {
  name: "affine",
  source,
  storage: ["read", "read_write"],
  uniforms: [["quads", "u32"], ["accumulate", "u32"], ["scale", "f32"], ["offset", "f32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
