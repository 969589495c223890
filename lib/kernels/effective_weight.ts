import type { DType } from "../core/dtype.ts";
import type { KernelSpec } from "../gpu/kernel.ts";
import source from "./effective_weight.wgsl" with { type: "text" };

const FORMATS: Partial<Record<DType, number>> = { f32: 0, f16: 1, bf16: 2 };

/**
 * `y = w + s (B A − B₀ A₀)` with w stored in `dtype`; equals w bit for bit where B = B₀ and A = A₀.
 *
 * Error: eps |w| + eps √(2 r) s Σ (|b − b₀| |a| + |b₀| |a − a₀|).
 */
export function effectiveWeightSpec(dtype: DType): KernelSpec {
  const format = FORMATS[dtype];
  if (format === undefined) {
    throw new TypeError(`Cannot read a weight stored as ${dtype}: expected f32, f16 or bf16`);
  }
  return {
    name: "effective_weight",
    source,
    storage: ["read", "read", "read", "read", "read", "read_write"],
    uniforms: [["out", "u32"], ["in", "u32"], ["r", "u32"], ["start", "u32"], ["trained", "u32"], [
      "s",
      "f32",
    ]],
    consts: { FORMAT: format },
    workgroups: (u) => [Math.ceil(u.in / 128), Math.ceil(u.out / 4), 1],
  };
}
