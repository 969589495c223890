import type { KernelSpec } from "../gpu/kernel.ts";
import { rowKernel, type RowLayout } from "./rms_norm.ts";
import source from "./rms_norm_backward.wgsl" with { type: "text" };

/**
 * `dx = dh + ρ (w dy − h ρ² mean(w dy h))` for each row.
 *
 * Error of dx: (eps √d + 8 eps) (|dh| + ρ |w dy| + ρ³ |h| mean |w dy h|).
 */
export function rmsNormBackwardSpec(layout: RowLayout): KernelSpec {
  return {
    name: "rms_norm_backward",
    ...rowKernel(source, layout),
    storage: ["read", "read", "read", "read", "read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["has_dh", "u32"]],
  };
}
