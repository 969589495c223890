import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./add.wgsl" with { type: "text" };

/** `z = x + y`, element by element. Error: eps |z|. */
export const addSpec: KernelSpec = {
  name: "add",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
