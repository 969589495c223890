import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { columnsSpec } from "../kernels/columns.ts";
import { rowRanges, rowsOf } from "./row_ranges.ts";

/** Copies `width` columns of f32 x, from column `from` on, to the columns of y from `to` on; both have n rows. */
export function copyColumns(
  gpu: Gpu,
  x: Tensor,
  y: Tensor,
  { width, from = 0, to = 0 }: { width: number; from?: number; to?: number },
): void {
  const { n, wide, broad } = bindAxes("copyColumns", { "x [n, wide]": x.shape, "y [n, broad]": y.shape });
  for (const range of rowRanges(gpu, n, [x, y])) {
    const parts = [x, y].map((matrix) => rowsOf(matrix, range));
    gpu.run(columnsSpec, parts, { n: range.rows, width, wide, from_column: from, broad, to_column: to });
  }
}

/** `width` columns of f32 x `[n, d]`, from column `from` on, as columns `to` on of a new f32 `[n, wide]`, else zero. */
export function moveColumns(
  gpu: Gpu,
  x: Tensor,
  wide: number,
  columns: { width: number; from?: number; to?: number },
): Tensor {
  const { n } = bindAxes("moveColumns", { "x [n, d]": x.shape });
  const y = gpu.tensor([n, wide]);
  if (columns.width < wide) gpu.clear(y);
  copyColumns(gpu, x, y, columns);
  return y;
}

/**
 * Cuts f32 x `[n, parts · d]` into `parts` matrices `[n, d]` of neighbouring columns.
 *
 * @throws {RangeError} If the columns are no multiple of `parts`.
 */
export function splitColumns(gpu: Gpu, x: Tensor, parts: number): Tensor[] {
  const { n, d } = bindAxes("splitColumns", { "x [n, d]": x.shape });
  if (d % parts) {
    throw new RangeError(`Cannot split ${d} columns: expected a multiple of ${parts}`);
  }
  const width = d / parts;
  return Array.from({ length: parts }, (_, part) => {
    const y = gpu.tensor([n, width]);
    copyColumns(gpu, x, y, { width, from: part * width });
    return y;
  });
}

/** Puts f32 matrices `[n, d]` side by side, the inverse of `splitColumns`; one that is absent counts as zero. */
export function joinColumns(gpu: Gpu, parts: readonly (Tensor | undefined)[]): Tensor {
  const present = parts.filter((part) => part !== undefined);
  const { n, d: width } = bindAxes(
    "joinColumns",
    Object.fromEntries(present.map((part, i) => [`part ${i} [n, d]`, part.shape])),
  );
  const y = gpu.tensor([n, parts.length * width]);
  if (present.length < parts.length) gpu.clear(y);
  parts.forEach((part, i) => {
    if (part) copyColumns(gpu, part, y, { width, to: i * width });
  });
  return y;
}
