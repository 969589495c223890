import { bindAxes } from "../core/shape.ts";
import { blockDTypes, blockSize, isBlockDType } from "../core/dtype.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { dequantizeKernel } from "../kernels/dequantize.ts";

/**
 * A weight stored in blocks as f32, bit for bit what the host's `toFloat32` gives.
 *
 * @param w `[out, in]` of a block format.
 * @param into Where it goes, f32 `[out, in]`; default: a new tensor.
 * @returns f32 `[out, in]`.
 * @throws {TypeError} If `w` is not of a block format.
 * @throws {RangeError} If `w` is no matrix, or its rows are no whole blocks.
 */
export function dequantize(gpu: Gpu, w: Tensor, into?: Tensor): Tensor {
  const { in: width } = bindAxes("dequantize", {
    "w [out, in]": w.shape,
    ...into && { "into [out, in]": into.shape },
  });
  if (!isBlockDType(w.dtype)) {
    throw new TypeError(`Cannot dequantize ${w.dtype}: expected ${blockDTypes.join(", ")}`);
  }
  if (width % blockSize(w.dtype)) {
    throw new RangeError(
      `Cannot dequantize w [out, in]: got in = ${width}, expected a multiple of ${
        blockSize(w.dtype)
      } for ${w.dtype}`,
    );
  }
  const y = into ?? gpu.tensor(w.shape);
  gpu.run(dequantizeKernel(w.dtype), [w, y], { quads: w.size / 4 });
  return y;
}
