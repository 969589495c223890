import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { embeddingKernel } from "../kernels/embedding.ts";
import { embeddingBackward as backwardKernel } from "../kernels/embedding_backward.ts";
import { rowRanges, rowsOf } from "./row_ranges.ts";

/**
 * Rows of a table: `x[i] = table[ids[i]]`, widened to f32. Exact.
 *
 * Ids lie on the device and so are not checked here (`checkIds` does it before the upload); one past the table
 * gives a row of NaN.
 *
 * @param ids u32 `[n]`.
 * @param table f32, f16, bf16 or of a block format `[v, d]`.
 * @returns x, a new f32 `[n, d]`.
 * @throws {RangeError} If a shape has the wrong number of axes.
 * @throws {TypeError} If `ids` is not u32 or `table` not of a floating-point type.
 */
export function embedding(gpu: Gpu, ids: Tensor, table: Tensor): Tensor {
  const { n, v, d } = bindAxes("embedding", { "ids [n]": ids.shape, "table [v, d]": table.shape });
  if (ids.dtype !== "u32") {
    throw new TypeError(`Cannot compute embedding with ids of ${ids.dtype}: expected u32`);
  }
  const x = gpu.tensor([n, d]);
  for (const { first, rows } of rowRanges(gpu, v, [table])) {
    const part = rowsOf(table, { first, rows });
    gpu.run(embeddingKernel(table.dtype), [ids, part, x], { n, d, v, first, rows });
  }
  return x;
}

/**
 * Checks that each id names a row of a table of `v` rows.
 *
 * @throws {RangeError} E.g. `Cannot compute embedding with ids[3]: got 512, expected 0 <= id < 512`.
 */
export function checkIds(operation: string, ids: ArrayLike<number>, v: number): void {
  for (let i = 0; i < ids.length; i++) {
    if (!(ids[i] >= 0 && ids[i] < v)) {
      throw new RangeError(
        `Cannot compute ${operation} with ids[${i}]: got ${ids[i]}, expected 0 <= id < ${v}`,
      );
    }
  }
}

/** The tokens of a batch sorted by id, on the device; made by `embeddingPlan`, disposed by its owner. */
export interface EmbeddingPlan extends Disposable {
  /** Tokens by id and then by place, u32 `[n]`. */
  readonly order: Tensor;
  /** Ids that occur, each with the end of its tokens in `order`, u32 `[n, 2]`; the first `count` rows are used. */
  readonly segments: Tensor;
  /** Ids that occur. */
  readonly count: number;
  /** Rows of the table. */
  readonly v: number;
}

/**
 * Sorts the tokens of a batch by id (a counting sort, which keeps their order), so that `embeddingBackward` can
 * add up each row's gradients without atomics and in the same order every time.
 *
 * @param ids Ids of the tokens, `[n]`.
 * @param v Rows of the table.
 * @throws {RangeError} If an id is outside the table.
 */
export function embeddingPlan(gpu: Gpu, ids: Uint32Array, v: number): EmbeddingPlan {
  checkIds("embeddingPlan", ids, v);
  const n = ids.length;
  const ends = new Uint32Array(v);
  for (const id of ids) ends[id]++;
  const segmentsData = new Uint32Array(2 * n);
  let count = 0;
  let end = 0;
  ends.forEach((tokens, id) => {
    ends[id] = end;
    if (tokens === 0) return;
    end += tokens;
    segmentsData.set([id, end], 2 * count++);
  });
  const orderData = new Uint32Array(n);
  ids.forEach((id, i) => orderData[ends[id]++] = i);
  const order = gpu.upload(orderData, [n]);
  const segments = gpu.upload(segmentsData, [n, 2]);
  return {
    order,
    segments,
    count,
    v,
    [Symbol.dispose]() {
      order.dispose();
      segments.dispose();
    },
  };
}

/**
 * Gradient of `embedding` with respect to its table: each row sums the gradients of the tokens that read it.
 *
 * f32, deterministic: a row's sum runs in the order of the tokens.
 *
 * @param plan From `embeddingPlan` on the same ids.
 * @param dx f32 `[n, d]`.
 * @param into Where the gradient goes, f32 `[v, d]`.
 * @param accumulate Adds to what `into` holds instead of overwriting it.
 * @throws {RangeError} If shapes disagree with each other or with the plan.
 */
export function embeddingBackward(
  gpu: Gpu,
  plan: EmbeddingPlan,
  dx: Tensor,
  into: Tensor,
  accumulate = false,
): void {
  const { d, v } = bindAxes("embeddingBackward", {
    "plan.order [n]": plan.order.shape,
    "dx [n, d]": dx.shape,
    "into [v, d]": into.shape,
  });
  if (v !== plan.v) {
    throw new RangeError(
      `Cannot compute embeddingBackward with into [v, d]: got ${v} rows, expected v = ${plan.v}`,
    );
  }
  if (!accumulate) gpu.clear(into);
  for (const { first, rows } of rowRanges(gpu, v, [into])) {
    const part = rowsOf(into, { first, rows });
    gpu.run(backwardKernel, [plan.order, plan.segments, dx, part], { segments: plan.count, d, first, rows });
  }
}
