import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import { type RowLayout, rowValues } from "./rms_norm.ts";
import source from "./rms_norm_backward.wgsl" with { type: "text" };

/**
 * `dx = dh + ρ (w dy − h ρ² mean(w dy h))` for each row.
 *
 * Error of dx: (eps √d + 8 eps) (|dh| + ρ |w dy| + ρ³ |h| mean |w dy h|).
 */
export function rmsNormBackwardSpec({ lanes, width }: RowLayout): KernelSpec {
  return {
    name: "rms_norm_backward",
    source: rowValues(width) + source,
    storage: ["read", "read", "read", "read", "read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["has_dh", "u32"]],
    overrides: { LANES: lanes },
    consts: { WIDTH: width },
    workgroups: ({ n }) => linearGrid(Math.ceil(n * lanes / 64)),
  };
}
