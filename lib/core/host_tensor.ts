import { byteWidth, type DType } from "./dtype.ts";
import { narrow, widen } from "./half.ts";
import { type Shape, size } from "./shape.ts";

/** A tensor in host memory, as stored in a file: little-endian `bytes`, row-major. */
export interface HostTensor {
  /** Element type. */
  readonly dtype: DType;
  /** Lengths of the axes. */
  readonly shape: Shape;
  /** The elements, little-endian. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * A host tensor of `data` rounded to `dtype`.
 *
 * @throws {RangeError} If `data` has another number of elements than `shape`.
 */
export function hostTensor(
  shape: Shape,
  data: Float32Array | readonly number[],
  dtype: "f32" | "f16" | "bf16" = "f32",
): HostTensor {
  if (data.length !== size(shape)) {
    throw new RangeError(
      `Cannot make a tensor of shape [${shape.join(", ")}]: got ${data.length} elements, expected ${
        size(shape)
      }`,
    );
  }
  return {
    dtype,
    shape,
    bytes: narrow(dtype, data instanceof Float32Array ? data : Float32Array.from(data)),
  };
}

/** The elements of `tensor` as f32, a copy. */
export function toFloat32(tensor: HostTensor): Float32Array<ArrayBuffer> {
  return widen(tensor.dtype, tensor.bytes);
}

/** Bytes of a tensor of this shape and type. */
export function byteLength(shape: Shape, dtype: DType): number {
  return size(shape) * byteWidth(dtype);
}
