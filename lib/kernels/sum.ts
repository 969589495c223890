import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./sum.wgsl" with { type: "text" };

/**
 * Sums, or sums of squares, of stretches of `span` elements; scaled, rooted or added to what is there.
 * Error: eps √span Σ|x| (|x²|), and 2.5 eps for the root.
 */
export const sumSpec: KernelSpec = {
  name: "sum",
  source,
  storage: ["read", "read_write"],
  uniforms: [
    ["n", "u32"],
    ["span", "u32"],
    ["at", "u32"],
    ["accumulate", "u32"],
    ["square", "u32"],
    ["root", "u32"],
    ["scale", "f32"],
  ],
  workgroups: ({ n, span }) => [Math.max(1, Math.ceil(n / span)), 1, 1],
};
