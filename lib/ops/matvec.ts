import { blockSize, isBlockDType } from "../core/dtype.ts";
import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { matvecSpec } from "../kernels/matvec.ts";
import { matmul, type MatmulOptions } from "./matmul.ts";
import { exceedsBinding } from "./row_ranges.ts";

/**
 * `y = scale · x Wᵀ` for a single row x: the product that a model makes for each token it generates.
 *
 * W is read once and as it is stored, so blocks are widened in the product. Where `in` is no multiple of 4, or W is
 * larger than a binding, that is left to `matmul`. f32 sums, deterministic.
 *
 * Own construction.
 *
 * @param x f32 `[1, in]`.
 * @param w `[out, in]` as f32, f16, bf16 or in blocks.
 * @returns f32 `[1, out]`: `into` where given, else a new tensor.
 * @throws {RangeError} If shapes disagree.
 * @throws {TypeError} If `x` or `into` is not f32, or `accumulate` has no `into`.
 */
export function matvec(gpu: Gpu, x: Tensor, w: Tensor, options: MatmulOptions = {}): Tensor {
  const { into, accumulate = false, scale = 1 } = options;
  const { out, in: width } = bindAxes("matvec", {
    "w [out, in]": w.shape,
    "x [1, in]": x.shape,
    ...into && { "into [1, out]": into.shape },
  });
  const readable = width > 0 && width % (isBlockDType(w.dtype) ? blockSize(w.dtype) : 4) === 0;
  if (!readable || exceedsBinding(gpu, w)) {
    return matmul(gpu, "nt", x, w, options);
  }
  for (const tensor of [x, into]) {
    if (tensor && tensor.dtype !== "f32") {
      throw new TypeError(`Cannot compute matvec with ${tensor.dtype}: expected f32`);
    }
  }
  if (accumulate && !into) {
    throw new TypeError("Cannot compute matvec with accumulate: expected a tensor `into` to add to");
  }
  const y = into ?? gpu.tensor([1, out]);
  const layout = gpu.info.isSoftware ? { lanes: 8, rows: 8 } : { lanes: 32, rows: 4 };
  gpu.run(matvecSpec({ dtype: w.dtype, ...layout, accumulate }), [w, x, y], { out, width, scale });
  return y;
}
