import { type KernelSpec, linearGrid, once } from "../gpu/kernel.ts";
import forward from "./activation.wgsl" with { type: "text" };
import backward from "./activation_backward.wgsl" with { type: "text" };
import gelu from "./gelu.wgsl" with { type: "text" };
import relu from "./relu.wgsl" with { type: "text" };
import sigmoid from "./sigmoid.wgsl" with { type: "text" };
import silu from "./silu.wgsl" with { type: "text" };

/** Functions φ of an MLP: `x σ(x)`, `x σ(z)` with `z = √(8/π) (x + 0.044715 x³)` (gelu in its tanh form), `max(x, 0)`. */
export type Phi = "silu" | "gelu" | "relu";

const TEXTS: Readonly<Record<Phi, string>> = {
  silu: `${silu}\n${sigmoid}`,
  gelu: `${gelu}\n${sigmoid}`,
  relu,
};

/** The kernel `text` over vectors of four, with the text of φ before it. */
export function elementwise(
  name: string,
  phi: Phi,
  text: string,
  storage: KernelSpec["storage"],
): KernelSpec {
  return once(`${name} ${phi}`, () => ({
    name: `${name}_${phi}`,
    source: `${TEXTS[phi]}\n${text}`,
    storage,
    uniforms: [["quads", "u32"]],
    workgroups: ({ quads }) => linearGrid(Math.ceil(quads / 64)),
  }));
}

/**
 * `y = φ(x)`. Error: relu none; else (3 eps + accuracy of `exp` + 5 eps |z| (1 − σ), the last for gelu alone) |y|, where
 * WGSL grants `exp(x)` (3 + 2 |x|) eps; for z below −80, |y| ≤ |x| e⁻⁸⁰ in place of a smaller value.
 */
export function activationSpec(phi: Phi): KernelSpec {
  return elementwise("activation", phi, forward, ["read", "read_write"]);
}

/**
 * `dx = dy φ'(x)`. Error: relu none; else as `activation`, times |dy σ| (1 + |x z'| (1 − σ)), and for gelu another 5 eps of
 * |dy σ x z' (1 − σ)|, as z enters twice.
 */
export function activationBackwardSpec(phi: Phi): KernelSpec {
  return elementwise("activation_backward", phi, backward, ["read", "read", "read_write"]);
}
