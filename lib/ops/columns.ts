import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { columnsSpec } from "../kernels/columns.ts";

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
    const place = { wide: d, from_column: part * width, broad: width, to_column: 0 };
    gpu.run(columnsSpec, [x, y], { n, width, ...place });
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
    const place = { wide: width, from_column: 0, broad: parts.length * width, to_column: i * width };
    if (part) gpu.run(columnsSpec, [part, y], { n, width, ...place });
  });
  return y;
}
