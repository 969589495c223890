/** Element types that tensors are stored in; arithmetic is always f32. */
export type DType = "f32" | "f16" | "bf16" | "u32" | "i32";

const WIDTHS: Record<DType, number> = { f32: 4, f16: 2, bf16: 2, u32: 4, i32: 4 };

/** Bytes of one element of `dtype`. */
export function byteWidth(dtype: DType): number {
  return WIDTHS[dtype];
}
