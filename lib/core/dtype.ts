/**
 * Formats of GGUF files that store a block of elements together: their scale in f16, and a few bits for each element.
 * `q8_0` to `q5_1` have blocks of 32 elements, the K formats of 256. A row is made of whole blocks.
 */
export type GgufBlockDType = "q4_0" | "q4_1" | "q5_0" | "q5_1" | "q8_0" | "q4_k" | "q6_k";

/**
 * All formats of blocks: GGUF's, and two of 64 elements that the kit quantises to, each with one f32 scale. `nf4` holds
 * the absmax that double quantisation leaves of a block, so its numbers are those of NF4 with double quantisation and it
 * takes 4.5 bits a weight, not 4.127; `int8` holds 1/127 of the absmax of the whole row, 8.5 bits a weight.
 */
export type BlockDType = GgufBlockDType | "nf4" | "int8";

/** Element types that tensors are stored in; arithmetic is always f32. */
export type DType = "f32" | "f16" | "bf16" | "u32" | "i32" | BlockDType;

/** Elements and bytes of one block of each format. */
const BLOCKS: Readonly<Record<BlockDType, readonly [elements: number, bytes: number]>> = {
  q4_0: [32, 18],
  q4_1: [32, 20],
  q5_0: [32, 22],
  q5_1: [32, 24],
  q8_0: [32, 34],
  q4_k: [256, 144],
  q6_k: [256, 210],
  nf4: [64, 36],
  int8: [64, 68],
};

const WIDTHS: Readonly<Record<Exclude<DType, BlockDType>, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  u32: 4,
  i32: 4,
};

/** All block formats. */
export const blockDTypes: readonly BlockDType[] = Object.keys(BLOCKS) as BlockDType[];

/** Whether `dtype` stores blocks. */
export function isBlockDType(dtype: DType): dtype is BlockDType {
  return Object.hasOwn(BLOCKS, dtype);
}

/** Elements that are stored together: 1, or those of a block. */
export function blockSize(dtype: DType): number {
  return isBlockDType(dtype) ? BLOCKS[dtype][0] : 1;
}

/** Bytes of one element of `dtype`; of a block format its share of the block, a fraction that is exact in binary. */
export function byteWidth(dtype: DType): number {
  return isBlockDType(dtype) ? BLOCKS[dtype][1] / BLOCKS[dtype][0] : WIDTHS[dtype];
}
