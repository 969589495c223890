import { checkLengths } from "./check.ts";

/** y = max(x, 0), element by element. */
export function relu(x: Float64Array): Float64Array {
  return x.map((value) => value <= 0 ? 0 : value);
}

/** Gradient of {@linkcode relu} for dL/dy = `dy`: dy where x > 0, else 0. */
export function reluBackward(x: Float64Array, dy: Float64Array): Float64Array {
  checkLengths("reluBackward", { n: x.length }, { "dy [n]": dy });
  return dy.map((slope, i) => x[i] <= 0 ? 0 : slope);
}
