import type { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { matmul } from "../ops/matmul.ts";
import type { NamedMatrix } from "./finite.ts";
import { qrAll } from "./qr.ts";
import { type Svd, svd } from "./svd.ts";

/** Up to this side a whole decomposition on the host takes some ten milliseconds. */
const SMALL = 64;

/** Whether `svd` of a matrix `[m, n]` is to be preferred to `leading`: it is as cheap, or there is nothing to leave out. */
export function isSmall(m: number, n: number, columns: number): boolean {
  return Math.min(m, n) <= Math.max(SMALL, columns);
}

/**
 * Triplets of W on a random space of `columns` dimensions after rounds of subspace iteration: the largest ones to
 * within (s_{columns + 1} / s_i)^(2 · iterations + 1), all but a decomposition of `[columns, n]` on the device, in
 * f32.
 *
 * Source: algorithm 4.4 of Halko, Martinsson and Tropp 2011, arXiv:0909.4061; `columns` is the rank with what
 * oversampling it gets.
 *
 * @param matrix W, f32 `[m, n]`, finite.
 * @param options `rng` draws the space; `columns` is at most min(m, n).
 */
export async function leading(
  gpu: Gpu,
  { name, w }: NamedMatrix,
  { columns, iterations, rng }: { columns: number; iterations: number; rng: Rng },
): Promise<Svd> {
  const [, n] = w.shape;
  const orthonormal = async (x: Tensor) => {
    using panel = x;
    const [{ q, r }] = await qrAll(gpu, [{ name, w: panel }]);
    r.dispose();
    return q;
  };
  using random = gpu.upload(Float32Array.from({ length: n * columns }, () => rng.normal()), [n, columns]);
  let q = await orthonormal(matmul(gpu, "nn", w, random));
  for (let i = 0; i < iterations; i++) {
    using left = q;
    using right = await orthonormal(matmul(gpu, "tn", w, left));
    q = await orthonormal(matmul(gpu, "nn", w, right));
  }
  using basis = q;
  using small = matmul(gpu, "tn", basis, w);
  const { u, s, v } = svd(await gpu.read(small), { m: columns, n });
  using turn = gpu.upload(Float32Array.from(u), [columns, columns]);
  using left = matmul(gpu, "nn", basis, turn);
  return { u: Float64Array.from(await gpu.read(left)), s, v };
}
