import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./center.wgsl" with { type: "text" };
import { rowKernel, type RowLayout } from "./rms_norm.ts";

/**
 * `y = x − mean(x)` of each row. Error: (eps √d + 2.5 eps) mean|x| of the mean (WGSL grants the division 2.5 eps),
 * and eps / 2 |y| of the difference.
 */
export function centerSpec(layout: RowLayout): KernelSpec {
  return {
    name: "center",
    ...rowKernel(source, layout),
    storage: ["read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"]],
  };
}
