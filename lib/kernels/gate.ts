import type { KernelSpec } from "../gpu/kernel.ts";
import { elementwise, type Phi } from "./activation.ts";
import forward from "./gate.wgsl" with { type: "text" };
import backward from "./gate_backward.wgsl" with { type: "text" };

/** `h = φ(g) v`. Error: that of `activation`, times |v|, and of relu that of the product. */
export function gateSpec(phi: Phi): KernelSpec {
  return elementwise("gate", phi, forward, ["read", "read", "read_write"]);
}

/**
 * `dg = dh v φ'(g)`, `dv = dh φ(g)`. Error: that of `activation_backward` for dy = dh v, and that of `activation`,
 * times |dh|. Of relu, gates are finite.
 */
export function gateBackwardSpec(phi: Phi): KernelSpec {
  return elementwise("gate_backward", phi, backward, ["read", "read", "read", "read_write", "read_write"]);
}
