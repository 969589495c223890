import { activate, activateBackward, type Phi } from "./activation.ts";
import { checkLengths } from "./check.ts";

/**
 * Gated activation of an MLP, element by element: h = φ(g) u.
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6) (SwiGLU, GEGLU).
 *
 * @param phi The function of the gate.
 * @param g Gate, any shape.
 * @param u Value, of the same shape.
 * @returns h, of the same shape.
 */
export function gate(phi: Phi, g: Float64Array, u: Float64Array): Float64Array {
  checkLengths("gate", { n: g.length }, { "u [n]": u });
  return activate(phi, g).map((open, i) => open * u[i]);
}

/** Gradients of {@linkcode gate} for dL/dh = `dh`: du = dh φ(g), dg = dh u φ′(g). */
export function gateBackward(
  phi: Phi,
  g: Float64Array,
  u: Float64Array,
  dh: Float64Array,
): { dg: Float64Array; du: Float64Array } {
  checkLengths("gateBackward", { n: g.length }, { "u [n]": u, "dh [n]": dh });
  return {
    dg: activateBackward(phi, g, dh.map((dh, i) => dh * u[i])),
    du: activate(phi, g).map((open, i) => dh[i] * open),
  };
}
