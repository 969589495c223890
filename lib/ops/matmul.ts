import { blockSize } from "../core/dtype.ts";
import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { copyColumns } from "./columns.ts";
import { exceedsBinding, type RowRange, rowRanges, rowsOf } from "./row_ranges.ts";
import { runMatmul } from "../kernels/matmul_variants.ts";

/** How the operands of a product are stored: `nn` A B, `nt` A Bᵀ, `tn` Aᵀ B. */
export type MatmulForm = "nn" | "nt" | "tn";

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Where the product goes, f32 `[m, n]` or `[batch, m, n]`; default: a new tensor. Must be neither operand. */
  into?: Tensor;
  /** Adds to what `into` holds instead of overwriting it. */
  accumulate?: boolean;
  /** Factor of the product; default 1. */
  scale?: number;
}

const AXES: Record<MatmulForm, readonly [a: string, b: string]> = {
  nn: ["m, k", "k, n"],
  nt: ["m, k", "n, k"],
  tn: ["k, m", "k, n"],
};

/**
 * Matrix product `C = scale · A B` (`nn`), `scale · A Bᵀ` (`nt`) or `scale · Aᵀ B` (`tn`), plain or batched.
 *
 * Operands are f32 `[m, k]`, `[k, n]` in the form's order of axes, or both with a leading batch axis; sums are f32
 * and deterministic for one kernel variant. Any length may be 0: a sum over nothing is 0. The B of a plain `nn` or `nt`
 * may be a weight stored as f16, bf16 or in blocks: the kernel widens what it reads, exactly as `effectiveWeight` does.
 *
 * Own construction; the variants, and which runs when, are in `lib/kernels/matmul_variants.ts`.
 *
 * @returns C, `[m, n]` or `[batch, m, n]`: `into` where given, else a new tensor.
 * @throws {RangeError} If shapes disagree, e.g. `Cannot compute matmul nt with b [n, k]: got shape [3, 5], expected
 * k = 4`, or `into` is an operand.
 * @throws {TypeError} If a tensor is neither f32 nor such a B, or `accumulate` has no `into`.
 */
export function matmul(
  gpu: Gpu,
  form: MatmulForm,
  a: Tensor,
  b: Tensor,
  options: MatmulOptions = {},
): Tensor {
  const { accumulate = false, scale = 1 } = options;
  const lead = a.shape.length === 3 ? "batch, " : "";
  const [aAxes, bAxes] = AXES[form];
  const { batch = 1, m, n, k } = bindAxes(`matmul ${form}`, {
    [`a [${lead}${aAxes}]`]: a.shape,
    [`b [${lead}${bAxes}]`]: b.shape,
    ...options.into && { [`into [${lead}m, n]`]: options.into.shape },
  });
  for (const tensor of [a, options.into]) {
    if (tensor && tensor.dtype !== "f32") {
      throw new TypeError(`Cannot compute matmul ${form} with ${tensor.dtype}: expected f32`);
    }
  }
  checkStored(form, b);
  if (accumulate && !options.into) {
    throw new TypeError(
      `Cannot compute matmul ${form} with accumulate: expected a tensor \`into\` to add to`,
    );
  }
  if (options.into && (options.into.slab === a.slab || options.into.slab === b.slab)) {
    throw new RangeError(`Cannot compute matmul ${form} into an operand: expected a buffer of its own`);
  }
  const c = options.into ?? gpu.tensor(lead ? [batch, m, n] : [m, n]);
  const isLarge = batch === 1 && [a, b, c].some((tensor) => exceedsBinding(gpu, tensor));
  if (isLarge && inParts(gpu, form, [a, b, c].map(matrix), { accumulate, scale })) return c;
  runMatmul(gpu, { m, n, k, batch, aByK: form === "tn", bByK: form !== "nt", a, b, c, accumulate, scale });
  return c;
}

/** Checks that a kernel can read b as it is stored. */
function checkStored(form: MatmulForm, { dtype, shape }: Tensor): void {
  if (dtype === "f32") return;
  const isWeight = form !== "tn" && shape.length === 2 && dtype !== "u32" && dtype !== "i32";
  if (!isWeight) throw new TypeError(`Cannot compute matmul ${form} with ${dtype}: expected f32`);
  const size = blockSize(dtype);
  if (shape[1] % size) {
    throw new RangeError(
      `Cannot compute matmul ${form} with ${dtype} rows of ${shape[1]}: expected a multiple of ${size}`,
    );
  }
}

/** A tensor without its leading batch axis of 1. */
function matrix(tensor: Tensor): Tensor {
  return tensor.view(tensor.shape.slice(-2));
}

/**
 * The product where a matrix is larger than a binding: the outer axis of that one is cut, and where it is an inner axis
 * of another matrix, columns of that are copied. A sum over k in parts is off by no more than one in a piece.
 *
 * @returns Whether anything was recorded: not where rows alone are too long to be cut.
 */
function inParts(
  gpu: Gpu,
  form: MatmulForm,
  [a, b, c]: readonly Tensor[],
  { accumulate, scale }: { accumulate: boolean; scale: number },
): boolean {
  const [m, n] = c.shape;
  const columns = (x: Tensor, { first, rows }: RowRange) => {
    const y = gpu.tensor([x.shape[0], rows]);
    copyColumns(gpu, x, y, { width: rows, from: first });
    return y;
  };
  const cut = (length: number, matrices: readonly Tensor[], part: (range: RowRange) => void) => {
    const ranges = rowRanges(gpu, length, matrices);
    if (ranges.length > 1) ranges.forEach(part);
    return ranges.length > 1;
  };
  if (exceedsBinding(gpu, c) || (form !== "tn" && exceedsBinding(gpu, a))) {
    return cut(m, form === "tn" ? [c] : [c, a], (range) => {
      using left = form === "tn" ? columns(a, range) : rowsOf(a, range);
      matmul(gpu, form, left, b, { into: rowsOf(c, range), accumulate, scale });
    });
  }
  if (form === "nt") {
    return cut(n, [b], (range) => {
      using part = accumulate ? columns(c, range) : gpu.tensor([m, range.rows]);
      matmul(gpu, form, a, rowsOf(b, range), { into: part, accumulate, scale });
      copyColumns(gpu, part, c, { width: range.rows, to: range.first });
    });
  }
  return cut(b.shape[0], form === "tn" ? [b, a] : [b], (range) => {
    using left = form === "nn" ? columns(a, range) : rowsOf(a, range);
    const more = accumulate || range.first > 0;
    matmul(gpu, form, left, rowsOf(b, range), { into: c, accumulate: more, scale });
  });
}
