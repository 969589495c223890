import { checkLengths } from "./check.ts";

/** z = x + y, element by element; its gradient is dL/dz for both. */
export function add(x: Float64Array, y: Float64Array): Float64Array {
  checkLengths("add", { n: x.length }, { "y [n]": y });
  return x.map((value, i) => value + y[i]);
}
