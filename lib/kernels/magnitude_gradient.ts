import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./magnitude_gradient.wgsl" with { type: "text" };

/**
 * Sums of dy z / norm over chunks of `rows` rows, the gradient of a magnitude before `column_sum`.
 *
 * Error: (eps √rows + 2.5 eps) Σ|dy z| / norm.
 */
export const magnitudeGradientSpec: KernelSpec = {
  name: "magnitude_gradient",
  source,
  storage: ["read", "read", "read", "read_write"],
  uniforms: [["n", "u32"], ["d", "u32"], ["rows", "u32"]],
  workgroups: ({ n, d, rows }) => [Math.ceil(d / 64), Math.ceil(n / rows), 1],
};
