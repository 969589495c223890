import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./center.wgsl" with { type: "text" };
import { type RowLayout, rowValues } from "./rms_norm.ts";

/**
 * `y = x − mean(x)` of each row. Error: (eps √d + 2.5 eps) mean|x| of the mean (WGSL grants the division 2.5 eps),
 * and eps / 2 |y| of the difference.
 */
export function centerSpec({ lanes, width }: RowLayout): KernelSpec {
  return {
    name: "center",
    source: rowValues(width) + source,
    storage: ["read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"]],
    overrides: { LANES: lanes },
    consts: { WIDTH: width },
    workgroups: ({ n }) => linearGrid(Math.ceil(n * lanes / 64)),
  };
}
