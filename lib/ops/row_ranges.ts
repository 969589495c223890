import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { byteLength } from "../core/host_tensor.ts";

/** Neighbouring rows of matrices. */
export interface RowRange {
  /** The first of them. */
  readonly first: number;
  /** How many. */
  readonly rows: number;
}

/** Whether `tensor` is larger than what the device binds at once. */
export function exceedsBinding(gpu: Gpu, tensor: Tensor): boolean {
  return tensor.byteLength > gpu.bindingBytes;
}

/**
 * Cuts `rows` rows into as few ranges as the device's binding limit asks for, one where it asks for none. A buffer may
 * be larger than what a kernel can be shown of it (128 MiB on lavapipe: less than GPT-2's vocabulary in f32), so what
 * works on rows works on one range after the other.
 *
 * @param matrices Matrices of `rows` rows that are cut alike; each range begins at a multiple of 256 bytes in all.
 */
export function rowRanges(gpu: Gpu, rows: number, matrices: readonly Tensor[]): RowRange[] {
  const widths = matrices.map(({ shape, dtype }) => byteLength([shape[1]], dtype));
  const fit = Math.floor(gpu.bindingBytes / Math.max(1, ...widths));
  let group = 256;
  while (group > 1 && widths.every((bytes) => group / 2 * bytes % 256 === 0)) group /= 2;
  const most = fit >= rows ? rows : Math.max(1, Math.floor(fit / group)) * group;
  return Array.from({ length: Math.max(1, Math.ceil(rows / Math.max(1, most))) }, (_, i) => ({
    first: i * most,
    rows: Math.min(most, rows - i * most),
  }));
}

/** The rows of a matrix in `range`, as a view. */
export function rowsOf(matrix: Tensor, { first, rows }: RowRange): Tensor {
  const width = matrix.shape[1];
  return matrix.view([rows, width], first * width);
}

/** All elements of `tensor` in their order, as vectors that can be bound. */
export function stretchesOf(gpu: Gpu, tensor: Tensor): Tensor[] {
  return rowRanges(gpu, tensor.size, [tensor.view([tensor.size, 1])])
    .map(({ first, rows }) => tensor.view([rows], first));
}
