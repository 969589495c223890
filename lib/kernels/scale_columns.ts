import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./scale_columns.wgsl" with { type: "text" };

/** Columns of a matrix times numbers of their own, others for each group of t rows. Error: eps / 2 |y|. */
export const scaleColumnsSpec: KernelSpec = {
  name: "scale_columns",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["size", "u32"], ["d", "u32"], ["t", "u32"]],
  workgroups: ({ size }) => linearGrid(Math.ceil(size / 64)),
};
