import { isBlockDType } from "../core/dtype.ts";
import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { effectiveWeightSpec } from "../kernels/effective_weight.ts";
import { dequantize } from "./dequantize.ts";
import { rescaleRows, rowNorms } from "./magnitude.ts";
import { matmul } from "./matmul.ts";
import { rowRanges, rowsOf } from "./row_ranges.ts";

/** What an adapter makes of a weight: s (B A − B₀ A₀) is added; factors that are absent count as zero. */
export interface LowRank {
  /** s, dimensionless. */
  scale: number;
  /** A f32 `[r, in]` and B f32 `[out, r]`, which are trained. */
  trained?: Factors;
  /** A₀ and B₀, where training started. */
  start?: Factors;
  /** m, f32 `[out]`: the lengths that the rows of the sum are given. */
  magnitude?: Tensor;
}

/** A `[r, in]` and B `[out, r]`. */
interface Factors {
  a: Tensor;
  b: Tensor;
}

/**
 * `V = W + s (B A − B₀ A₀)`, or with a magnitude (m / ‖V‖) ∘ V by rows, as f32 `[out, in]`, from W stored as f32, f16,
 * bf16 or in blocks.
 *
 * With both pairs of factors it is W + s ([B − B₀, B₀] [A; A − A₀]), one product with K = 2 r that is zero where B = B₀
 * and A = A₀, so the result then equals W. Error: eps |w| + eps √(2 r) s Σ (|b − b₀| |a| + |b₀| |a − a₀|);
 * a magnitude scales it, and adds (√in / 2 + 5.5) eps of the result.
 *
 * Source: the residual form of arXiv:2406.01775 rearranged (base weights are immutable here); own construction.
 */
export function effectiveWeight(gpu: Gpu, w: Tensor, lowRank?: LowRank): Tensor {
  const { trained, start } = lowRank ?? {};
  const { out } = bindAxes("effectiveWeight", {
    "w [out, in]": w.shape,
    ...(trained && { "a [r, in]": trained.a.shape, "b [out, r]": trained.b.shape }),
    ...(start && { "a0 [r, in]": start.a.shape, "b0 [out, r]": start.b.shape }),
  });
  const y = gpu.tensor(w.shape);
  const ranges = rowRanges(gpu, out, [
    y,
    w,
    ...[trained, start].flatMap((factors) => factors ? [factors.b] : []),
  ]);
  if (ranges.length === 1) fill(gpu, y, w, lowRank);
  else {
    for (const range of ranges) {
      const part = (factors: Factors) => ({ a: factors.a, b: rowsOf(factors.b, range) });
      fill(gpu, rowsOf(y, range), rowsOf(w, range), {
        scale: lowRank?.scale ?? 0,
        ...(trained && { trained: part(trained) }),
        ...(start && { start: part(start) }),
      });
    }
  }
  if (!lowRank?.magnitude) return y;
  using merged = y;
  using norm = rowNorms(gpu, merged);
  return rescaleRows(gpu, merged, { m: lowRank.magnitude, norm });
}

function fill(gpu: Gpu, y: Tensor, w: Tensor, { trained, start, scale = 0 }: Partial<LowRank> = {}): void {
  const [out, width] = w.shape;
  const r = trained?.a.shape[0] ?? 0;
  const blocks = isBlockDType(w.dtype);
  if (blocks) dequantize(gpu, w, y);
  const moved = trained && start;
  using p = gpu.tensor(moved ? [out, 2 * r] : [1]);
  using q = gpu.tensor(moved ? [2 * r, width] : [1]);
  const factors = moved ? [trained.a, trained.b, start.a, start.b] : [w, w, w, w];
  const group = r % 4 ? 1 : 4;
  // What is made of blocks is in y already: at most the factors are left to do.
  const dense = blocks ? factors[0] : w;
  if (moved || !blocks) {
    gpu.run(effectiveWeightSpec(dense.dtype, group), [dense, ...factors, y, p, q], {
      quads: blocks ? 0 : Math.ceil(w.size / 4),
      a_size: moved ? r * width / group : 0,
      b_size: moved ? out * r / group : 0,
      r: r / group,
    });
  }
  const add = { into: y, accumulate: true };
  if (moved) matmul(gpu, "nn", p, q, { ...add, scale });
  else if (trained) matmul(gpu, "nn", trained.b, trained.a, { ...add, scale });
  else if (start) matmul(gpu, "nn", start.b, start.a, { ...add, scale: -scale });
}
