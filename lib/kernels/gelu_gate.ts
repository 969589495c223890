import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./gelu_gate.wgsl" with { type: "text" };

/**
 * `h = g σ(z) v` with `z = √(8/π) (g + 0.044715 g³)`: a gate by gelu in its tanh form. Error: (3 eps + accuracy of
 * `exp` + 5 eps |z| (1 − σ)) |h|, where WGSL grants `exp(x)` (3 + 2 |x|) eps; for z below −80, |h| ≤ |g| e⁻⁸⁰ |v| in
 * place of a smaller value.
 */
export const geluGateSpec: KernelSpec = {
  name: "gelu_gate",
  source,
  storage: ["read", "read", "read_write"],
  uniforms: [["quads", "u32"]],
  workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
};
