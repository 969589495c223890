import { checkLengths } from "./check.ts";

/**
 * Gated activation of a Llama MLP, element by element: h = silu(g) u with silu(g) = g / (1 + e^(−g)).
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6) (SwiGLU).
 *
 * @param g Gate, any shape.
 * @param u Value, of the same shape.
 * @returns h, of the same shape.
 */
export function siluGate(g: Float64Array, u: Float64Array): Float64Array {
  checkLengths("siluGate", { n: g.length }, { "u [n]": u });
  return g.map((gate, i) => gate * sigmoid(gate) * u[i]);
}

/** Gradients of {@linkcode siluGate} for dL/dh = `dh`: du = dh silu(g), dg = dh u σ(g) (1 + g (1 − σ(g))). */
export function siluGateBackward(
  g: Float64Array,
  u: Float64Array,
  dh: Float64Array,
): { dg: Float64Array; du: Float64Array } {
  checkLengths("siluGateBackward", { n: g.length }, { "u [n]": u, "dh [n]": dh });
  return {
    dg: g.map((gate, i) => dh[i] * u[i] * sigmoid(gate) * (1 + gate * sigmoid(-gate))),
    du: g.map((gate, i) => dh[i] * gate * sigmoid(gate)),
  };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
