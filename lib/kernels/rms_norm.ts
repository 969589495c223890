import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./rms_norm.wgsl" with { type: "text" };

/**
 * `h = x + delta`, `y = w h / √(mean(h²) + eps)` for each row.
 *
 * Error of y: (eps √d / 2 + 6 eps) |y|, as all terms of the mean are positive: half of the mean's relative
 * error, `sqrt` and the division (2.5 eps each in WGSL), and the products.
 */
export function rmsNormSpec(lanes: number): KernelSpec {
  return {
    name: "rms_norm",
    source,
    storage: ["read", "read", "read", "read_write", "read_write", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["has_delta", "u32"], ["eps", "f32"]],
    overrides: { LANES: lanes },
    workgroups: ({ n }) => linearGrid(Math.ceil(n * lanes / 64)),
  };
}
