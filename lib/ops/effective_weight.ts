import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { effectiveWeightSpec } from "../kernels/effective_weight.ts";

/** The low-rank part of an effective weight: s (B A − B₀ A₀); factors that are absent count as zero. */
export interface LowRank {
  /** s, dimensionless. */
  scale: number;
  /** A f32 `[r, in]` and B f32 `[out, r]`, which are trained. */
  trained?: { a: Tensor; b: Tensor };
  /** A₀ and B₀, where training started. */
  start?: { a: Tensor; b: Tensor };
}

/**
 * `W + s (B A − B₀ A₀)` as f32 `[out, in]`, from W stored as f32, f16 or bf16. Where B = B₀ and A = A₀ it is W bit
 * for bit, as the kernel sums (b − b₀) a + b₀ (a − a₀).
 *
 * Source: the residual form of arXiv:2406.01775 rearranged (DESIGN: base weights are immutable); own construction.
 */
export function effectiveWeight(gpu: Gpu, w: Tensor, lowRank?: LowRank): Tensor {
  const { trained, start, scale = 0 } = lowRank ?? {};
  const axes = bindAxes("effectiveWeight", {
    "w [out, in]": w.shape,
    ...(trained && { "a [r, in]": trained.a.shape, "b [out, r]": trained.b.shape }),
    ...(start && { "a0 [r, in]": start.a.shape, "b0 [out, r]": start.b.shape }),
  });
  const y = gpu.tensor(w.shape);
  gpu.run(effectiveWeightSpec(w.dtype), [
    w,
    trained?.a ?? w,
    trained?.b ?? w,
    start?.a ?? w,
    start?.b ?? w,
    y,
  ], {
    out: axes.out,
    in: axes.in,
    r: axes.r ?? 0,
    start: Number(start !== undefined),
    trained: Number(trained !== undefined),
    s: scale,
  });
  return y;
}
