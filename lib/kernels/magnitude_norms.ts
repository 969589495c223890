import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./magnitude_norms.wgsl" with { type: "text" };
import { type RowLayout, rowValues } from "./rms_norm.ts";

/**
 * The Euclidean norm of each row. Error: (eps √d / 2 + 2.5 eps) of the norm, half of the sum's and what WGSL grants `sqrt`,
 * for rows whose squares neither overflow nor vanish: of norms from 1e-18 to 1e19.
 */
export function magnitudeNormsSpec({ lanes, width }: RowLayout): KernelSpec {
  return {
    name: "magnitude_norms",
    source: rowValues(width) + source,
    storage: ["read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"]],
    overrides: { LANES: lanes },
    consts: { WIDTH: width },
    workgroups: ({ n }) => linearGrid(Math.ceil(n * lanes / 64)),
  };
}
