import { geluGate, geluGateBackward } from "./gelu_gate.ts";

/** gelu in its tanh form, element by element: what `geluGate` multiplies its value by. */
export function gelu(x: Float64Array): Float64Array {
  return geluGate(x, x.map(() => 1));
}

/** Gradient of {@linkcode gelu} for dL/dy = `dy`. */
export function geluBackward(x: Float64Array, dy: Float64Array): Float64Array {
  return geluGateBackward(x, x.map(() => 1), dy).dg;
}
