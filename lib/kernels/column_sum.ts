import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./column_sum.wgsl" with { type: "text" };

/** `y[j] = Σ_i x[i, j]`, optionally added to y. Error: eps √n Σ|x|. */
export const columnSumSpec: KernelSpec = {
  name: "column_sum",
  source,
  storage: ["read", "read_write"],
  uniforms: [["n", "u32"], ["d", "u32"], ["accumulate", "u32"]],
  workgroups: ({ d }) => [Math.ceil(d / 64), 1, 1],
};
