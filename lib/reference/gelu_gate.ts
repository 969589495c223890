import { checkLengths } from "./check.ts";

/**
 * Gated activation of a Gemma MLP, element by element: h = gelu(g) u with gelu in its tanh form,
 * gelu(g) = g (1 + tanh(√(2/π) (g + 0.044715 g³))) / 2.
 *
 * Source: Shazeer 2020, arXiv:2002.05202, eq. (6) (GEGLU); Hendrycks and Gimpel 2016, arXiv:1606.08415, §2.
 *
 * @param g Gate, any shape.
 * @param u Value, of the same shape.
 * @returns h, of the same shape.
 */
export function geluGate(g: Float64Array, u: Float64Array): Float64Array {
  checkLengths("geluGate", { n: g.length }, { "u [n]": u });
  return g.map((gate, i) => gelu(gate).value * u[i]);
}

/** Gradients of {@linkcode geluGate} for dL/dh = `dh`: du = dh gelu(g), dg = dh u gelu′(g). */
export function geluGateBackward(
  g: Float64Array,
  u: Float64Array,
  dh: Float64Array,
): { dg: Float64Array; du: Float64Array } {
  checkLengths("geluGateBackward", { n: g.length }, { "u [n]": u, "dh [n]": dh });
  return {
    dg: g.map((gate, i) => dh[i] * u[i] * gelu(gate).slope),
    du: g.map((gate, i) => dh[i] * gelu(gate).value),
  };
}

function gelu(x: number): { value: number; slope: number } {
  const root = Math.sqrt(2 / Math.PI);
  // (1 + tanh(y)) / 2 and its complement, without cancellation far from 0.
  const y = root * (x + 0.044715 * x ** 3);
  const [open, closed] = [1 / (1 + Math.exp(-2 * y)), 1 / (1 + Math.exp(2 * y))];
  const dy = root * (1 + 3 * 0.044715 * x ** 2);
  return { value: x * open, slope: open * (1 + 2 * x * dy * closed) };
}
