import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { sumSpec } from "../kernels/sum.ts";
import { stretchesOf } from "./row_ranges.ts";

const SPAN = 16384;

/**
 * Writes `scale Σ x` to element `at` of `into`, or adds it to what is there.
 *
 * The sum is by a tree of 64 lanes over stretches of 16,384 elements, then over the stretches: the same order each
 * time.
 */
export function sumInto(
  gpu: Gpu,
  x: Tensor,
  into: Tensor,
  options: { at?: number; scale?: number; accumulate?: boolean } = {},
): void {
  reduce(gpu, x, into, { square: 0, root: 0, ...options });
}

/** Writes the Euclidean norm of all elements of `x` to element `at` of `into`. */
export function normInto(gpu: Gpu, x: Tensor, into: Tensor, options: { at?: number } = {}): void {
  reduce(gpu, x, into, { square: 1, root: 1, ...options });
}

function reduce(
  gpu: Gpu,
  x: Tensor,
  into: Tensor,
  options: { at?: number; scale?: number; accumulate?: boolean; square: number; root: number },
): void {
  const { at = 0, scale = 1, square, root } = options;
  if (at >= into.size) {
    throw new RangeError(`Cannot write a sum to element ${at}: expected an index below ${into.size}`);
  }
  const accumulate = Number(options.accumulate ?? false);
  const n = x.size;
  const stretches = stretchesOf(gpu, x);
  if (stretches.length > 1) {
    using sums = gpu.tensor([stretches.length]);
    stretches.forEach((stretch, i) => reduce(gpu, stretch, sums, { at: i, square, root: 0 }));
    return reduce(gpu, sums, into, { ...options, square: 0 });
  }
  const parts = Math.max(1, Math.ceil(n / SPAN));
  if (parts === 1) {
    gpu.run(sumSpec, [x, into], { n, span: SPAN, at, accumulate, square, root, scale });
    return;
  }
  using part = gpu.tensor([parts]);
  gpu.run(sumSpec, [x, part], { n, span: SPAN, at: 0, accumulate: 0, square, root: 0, scale: 1 });
  gpu.run(sumSpec, [part, into], { n: parts, span: parts, at, accumulate, square: 0, root, scale });
}
