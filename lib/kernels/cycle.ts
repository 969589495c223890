import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./cycle.wgsl" with { type: "text" };

/** The columns of a matrix again and again. Exact. */
export const cycleSpec: KernelSpec = {
  name: "cycle",
  source,
  storage: ["read", "read_write"],
  uniforms: [["n", "u32"], ["d", "u32"], ["wide", "u32"]],
  workgroups: ({ n, wide }) => linearGrid(Math.ceil(n * wide / 64)),
};
