import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { affineSpec } from "../kernels/affine.ts";

/** `y = scale x + offset` for f32 `x` of any shape; a new tensor. */
export function affine(gpu: Gpu, x: Tensor, scale: number, offset = 0): Tensor {
  const y = gpu.tensor(x.shape);
  gpu.run(affineSpec, [x, y], { quads: Math.ceil(x.size / 4), accumulate: 0, scale, offset });
  return y;
}

/**
 * Adds `scale x` to `into`, f32 of as many elements.
 *
 * @throws {RangeError} If the sizes differ.
 */
export function addScaled(gpu: Gpu, x: Tensor, scale: number, into: Tensor): void {
  if (x.size !== into.size) {
    throw new RangeError(`Cannot compute addScaled of ${x.size} elements: expected ${into.size}`);
  }
  gpu.run(affineSpec, [x, into], { quads: Math.ceil(x.size / 4), accumulate: 1, scale, offset: 0 });
}
