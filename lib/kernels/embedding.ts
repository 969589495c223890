import { type DType, isBlockDType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import { readBlocks } from "./dequantize.ts";
import source from "./embedding.wgsl" with { type: "text" };

/** Element types of a table that is not made of blocks, with their number in the kernel. */
const FORMATS: Partial<Record<DType, number>> = { f32: 0, f16: 1, bf16: 2 };

/** Of a table that is not made of blocks nothing is read by them. */
const NO_BLOCKS = "fn four_of_blocks(i: u32) -> vec4f { return vec4f(); }\n";

/**
 * The gather for a table of `dtype`; exact.
 *
 * @throws {TypeError} If `dtype` is none of f32, f16, bf16 and the block formats.
 */
export function embeddingKernel(dtype: DType): KernelSpec {
  const blocks = isBlockDType(dtype) ? readBlocks(dtype) : undefined;
  const format = blocks?.format ?? FORMATS[dtype];
  if (format === undefined) {
    throw new TypeError(
      `Cannot compute embedding with a table of ${dtype}: expected f32, f16, bf16 or blocks`,
    );
  }
  return {
    name: "embedding",
    source: (blocks?.source ?? NO_BLOCKS) + source,
    consts: { FORMAT: format },
    storage: ["read", "read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["v", "u32"], ["first", "u32"], ["rows", "u32"]],
    workgroups: ({ n, d }) => linearGrid(Math.ceil(n * d / 256)),
  };
}
