import type { DType } from "../core/dtype.ts";
import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./effective_weight.wgsl" with { type: "text" };

const FORMATS: Partial<Record<DType, number>> = { f32: 0, f16: 1, bf16: 2 };

/**
 * W stored in `dtype` as f32, and the factors of what an adapter has moved by. Widening is exact; a difference has an
 * error of eps / 2 of itself.
 */
export function effectiveWeightSpec(dtype: DType): KernelSpec {
  const format = FORMATS[dtype];
  if (format === undefined) {
    throw new TypeError(`Cannot read a weight stored as ${dtype}: expected f32, f16 or bf16`);
  }
  return {
    name: "effective_weight",
    source,
    storage: ["read", "read", "read", "read", "read", "read_write", "read_write", "read_write"],
    uniforms: [["out", "u32"], ["in", "u32"], ["r", "u32"]],
    consts: { FORMAT: format },
    workgroups: (u) => {
      const size = u.out * u.in;
      return linearGrid(Math.ceil(Math.max(size / 2, u.out * u.r, u.r * u.in) / 64));
    },
  };
}
