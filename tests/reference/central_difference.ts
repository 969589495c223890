import { assertEquals } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";

/** Step that balances the truncation (h⁴) and rounding (eps / h) of a five-point central difference. */
const STEP = Number.EPSILON ** (1 / 5);
/** What that difference is good for, relative to the gradient's and the loss's size. */
const TOLERANCE = 1000 * STEP ** 4;

/** `n` normal deviates, a function of `seed` alone. */
export function normals(n: number, seed: number): Float64Array {
  const rng = new Rng(seed);
  return Float64Array.from({ length: n }, () => rng.normal());
}

/** Σ x y: with a fixed random y, a loss whose gradient with respect to x is y. */
export function inner(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i], 0);
}

/**
 * Asserts that `gradients` are the derivatives of `loss` with respect to each element of the arrays of the same name
 * in `inputs`. `loss` reads `inputs` afresh at each call.
 */
export function assertGradients(
  loss: () => number,
  inputs: Record<string, Float64Array>,
  gradients: Record<string, Float64Array | undefined>,
): void {
  const size = Math.abs(loss());
  for (const [name, values] of Object.entries(inputs)) {
    const gradient = gradients[name];
    assertEquals(gradient?.length, values.length, `length of the gradient of ${name}`);
    if (!gradient) return;
    const scale = 1 + size + gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
    values.forEach((value, i) => {
      const at = (steps: number) => {
        values[i] = value + steps * STEP;
        return loss();
      };
      const difference = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP);
      values[i] = value;
      if (!(Math.abs(difference - gradient[i]) <= TOLERANCE * scale)) {
        throw new Error(`Gradient of ${name}[${i}]: got ${gradient[i]}, central difference ${difference}`);
      }
    });
  }
}
