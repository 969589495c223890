import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./magnitude_norms.wgsl" with { type: "text" };
import { rowKernel, type RowLayout } from "./rms_norm.ts";

/**
 * The Euclidean norm of each row. Error: (eps √d / 2 + 2.5 eps) of the norm, half of the sum's and what WGSL grants `sqrt`,
 * for rows whose squares neither overflow nor vanish: of norms from 1e-18 to 1e19.
 */
export function magnitudeNormsSpec(layout: RowLayout): KernelSpec {
  return {
    name: "magnitude_norms",
    ...rowKernel(source, layout),
    storage: ["read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"]],
  };
}
