import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./rms_norm_weight.wgsl" with { type: "text" };

/**
 * Sums of dy h ρ over chunks of `rows` rows, the norm's weight gradient before `column_sum`.
 *
 * Error: eps √rows Σ|dy h ρ|.
 */
export const rmsNormWeightSpec: KernelSpec = {
  name: "rms_norm_weight",
  source,
  storage: ["read", "read", "read", "read_write"],
  uniforms: [["n", "u32"], ["d", "u32"], ["rows", "u32"]],
  workgroups: ({ n, d, rows }) => [Math.ceil(d / 64), Math.ceil(n / rows), 1],
};
