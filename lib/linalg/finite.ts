import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { nonFiniteSpec } from "../kernels/non_finite.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { stretchesOf } from "../ops/row_ranges.ts";

/** A matrix and what errors call it. */
export interface NamedMatrix {
  /** Name for errors. */
  readonly name: string;
  /** The matrix, `[m, n]`, stored as f32, f16 or bf16. */
  readonly w: Tensor;
}

/**
 * Checks that no matrix holds NaN or infinity, with one wait for all of them.
 *
 * @param doing What the matrices are wanted for, e.g. `"adapt"`.
 * @throws {RangeError} E.g. `Cannot adapt layers.0.q_proj: entry [3, 5] is NaN, expected a finite number`.
 */
export async function requireFinite(
  gpu: Gpu,
  doing: string,
  matrices: readonly NamedMatrix[],
): Promise<void> {
  using flags = gpu.keep(gpu.tensor([Math.max(1, matrices.length)], "u32"));
  gpu.clear(flags);
  matrices.forEach(({ w }, at) =>
    gpu.scope(() => {
      const dense = w.dtype === "f32" ? w : effectiveWeight(gpu, w);
      for (const part of stretchesOf(gpu, dense)) gpu.run(nonFiniteSpec, [part, flags], { n: part.size, at });
    })
  );
  const bad = (await gpu.read(flags)).findIndex((flag) => flag !== 0);
  if (bad >= 0 && matrices.length) throw await nonFiniteError(gpu, doing, matrices[bad]);
}

/**
 * The error that names the first entry of a matrix that is not finite; undefined where all are. Reads the matrix back.
 */
export async function nonFiniteError(
  gpu: Gpu,
  doing: string,
  { name, w }: NamedMatrix,
): Promise<RangeError | undefined> {
  const values = await gpu.read(w);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return undefined;
  const n = w.shape[1];
  return new RangeError(
    `Cannot ${doing} ${name}: entry [${Math.floor(at / n)}, ${at % n}] is ${
      values[at]
    }, expected a finite number`,
  );
}
