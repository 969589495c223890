import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./scale_columns_backward.wgsl" with { type: "text" };

/** The gradient of the numbers in `scaleColumnsSpec`, added to what is there. Error: eps √t Σ|x dy|. */
export const scaleColumnsBackwardSpec: KernelSpec = {
  name: "scale_columns_backward",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["size", "u32"], ["d", "u32"], ["t", "u32"]],
  workgroups: ({ size }) => linearGrid(Math.ceil(size / 64)),
};
