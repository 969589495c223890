import type { DType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./embedding.wgsl" with { type: "text" };

/** Element types that a table may have, with their number in the kernel. */
const FORMATS: Partial<Record<DType, number>> = { f32: 0, f16: 1, bf16: 2 };

/**
 * The gather for a table of `dtype`; exact.
 *
 * @throws {TypeError} If `dtype` is none of f32, f16 and bf16.
 */
export function embeddingKernel(dtype: DType): KernelSpec {
  const format = FORMATS[dtype];
  if (format === undefined) {
    throw new TypeError(`Cannot compute embedding with a table of ${dtype}: expected f32, f16 or bf16`);
  }
  return {
    name: "embedding",
    source,
    consts: { FORMAT: format },
    storage: ["read", "read", "read_write"],
    uniforms: [["n", "u32"], ["d", "u32"], ["v", "u32"]],
    workgroups: ({ n, d }) => linearGrid(Math.ceil(n * d / 256)),
  };
}
