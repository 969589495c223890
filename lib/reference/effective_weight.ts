import { checkLengths } from "./check.ts";
import type { LinearAdapter, LinearDims } from "./linear.ts";
import { matmul } from "./matmul.ts";

/** The weight that a linear layer with this adapter multiplies by: W + s (B A − B₀ A₀), `[out, in]`. */
export function effectiveWeight(
  w: Float64Array,
  adapter: LinearAdapter,
  dims: Pick<LinearDims, "in" | "out">,
): Float64Array {
  const { rank: r, scale, a, b, a0, b0 } = adapter;
  checkLengths("effectiveWeight", { ...dims, r }, { "w [out, in]": w, "a [r, in]": a, "b [out, r]": b });
  const product = { m: dims.out, n: dims.in, k: r };
  const change = matmul(b, a, product);
  const start = a0 && b0 && matmul(b0, a0, product);
  return w.map((value, i) => value + scale * (change[i] - (start?.[i] ?? 0)));
}
