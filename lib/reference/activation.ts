import { checkLengths } from "./check.ts";

/** Functions of an MLP: x / (1 + e^(−x)), x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, and max(x, 0). */
export type Phi = "silu" | "gelu" | "relu";

/**
 * y = φ(x), element by element.
 *
 * Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, §2 (silu, and gelu in its tanh form).
 */
export function activate(phi: Phi, x: Float64Array): Float64Array {
  return x.map((value) => PHIS[phi](value).value);
}

/** Gradient of {@linkcode activate} for dL/dy = `dy`. */
export function activateBackward(phi: Phi, x: Float64Array, dy: Float64Array): Float64Array {
  checkLengths("activateBackward", { n: x.length }, { "dy [n]": dy });
  return dy.map((dy, i) => dy * PHIS[phi](x[i]).slope);
}

const PHIS: Readonly<Record<Phi, (x: number) => { value: number; slope: number }>> = {
  silu(x) {
    const { open, closed } = sigmoid(x);
    return { value: x * open, slope: open * (1 + x * closed) };
  },
  gelu(x) {
    const root = Math.sqrt(8 / Math.PI);
    const { open, closed } = sigmoid(root * (x + 0.044715 * x ** 3));
    return { value: x * open, slope: open * (1 + x * root * (1 + 3 * 0.044715 * x ** 2) * closed) };
  },
  relu: (x) => ({ value: x <= 0 ? 0 : x, slope: x <= 0 ? 0 : 1 }),
};

/** σ(z) and 1 − σ(z), without cancellation far from 0. */
function sigmoid(z: number): { open: number; closed: number } {
  return { open: 1 / (1 + Math.exp(-z)), closed: 1 / (1 + Math.exp(z)) };
}
