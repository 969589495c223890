import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./cycle_backward.wgsl" with { type: "text" };

/** Sums of every d-th column, in ascending order: an entry is off by at most eps · √(wide / d) · Σ|terms|. */
export const cycleBackwardSpec: KernelSpec = {
  name: "cycle_backward",
  source,
  storage: ["read", "read_write"],
  uniforms: [["n", "u32"], ["d", "u32"], ["wide", "u32"]],
  workgroups: ({ n, d }) => linearGrid(Math.ceil(n * d / 64)),
};
