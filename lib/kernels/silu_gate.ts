import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./silu_gate.wgsl" with { type: "text" };

/**
 * `h = g σ(g) v`. Error: (3 eps + accuracy of `exp`) |h|, where WGSL grants `exp(x)` (3 + 2 |x|) eps; for g below
 * −80, |h| ≤ |g| e⁻⁸⁰ |v| in place of a smaller value.
 */
export const siluGateSpec: KernelSpec = {
  name: "silu_gate",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
