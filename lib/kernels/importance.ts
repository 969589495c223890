import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./importance.wgsl" with { type: "text" };

/** Moving averages of |θ g| and of its deviation. Error: 3 eps Σ|terms|, the deviation's with that of Ī beside it. */
export const importanceSpec: KernelSpec = {
  name: "importance",
  source,
  storage: ["read", "read", "read_write", "read_write"],
  uniforms: [["quads", "u32"], ["beta", "f32"], ["rest", "f32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
