import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./adamw.wgsl" with { type: "text" };

/**
 * One AdamW update in place; the gradient is zero afterwards. Error of a parameter: eps |θ| + 12 eps lr |m̂| / (√v̂ + eps): products, `sqrt` and a
 * division of 2.5 eps each; of m and v: 3 eps Σ|terms|.
 */
export const adamwSpec: KernelSpec = {
  name: "adamw",
  source,
  storage: ["read_write", "read_write", "read_write", "read_write", "read"],
  uniforms: [
    ["quads", "u32"],
    ["rate", "f32"],
    ["beta1", "f32"],
    ["rest1", "f32"],
    ["beta2", "f32"],
    ["rest2", "f32"],
    ["eps", "f32"],
    ["decay", "f32"],
    ["first", "f32"],
    ["second", "f32"],
    ["max_norm", "f32"],
    ["at", "u32"],
  ],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
