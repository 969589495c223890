import { isCounting } from "../gpu/counting_device.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { balanced } from "../linalg/balanced.ts";
import { requireFinite } from "../linalg/finite.ts";
import { type Svd, svd } from "../linalg/svd.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { Factors, Target } from "./method.ts";

/** Decompositions by the weight: a sweep starts on one model again and again. */
const decomposed = new WeakMap<Tensor, Svd>();

/**
 * W = U diag(s) Vᵀ of each target, by Jacobi's method in float64 on the host: a quarter of a second for 128 × 128,
 * minutes for 1024 × 1024. Kept for as long as the weight is. On a device that only counts nothing is decomposed, and no
 * number of the vectors is there.
 *
 * @throws {RangeError} If a weight holds NaN or infinity.
 */
export async function decompose(gpu: Gpu, targets: readonly Target[]): Promise<Svd[]> {
  await requireFinite(gpu, "decompose", targets.map(({ module, w }) => ({ name: module, w })));
  const found: Svd[] = [];
  for (const { w } of targets) found.push(await weightSvd(gpu, w));
  return found;
}

/** W = U diag(s) Vᵀ of one finite weight, kept likewise. */
export async function weightSvd(gpu: Gpu, w: Tensor): Promise<Svd> {
  const [m, n] = w.shape;
  const [u, v] = [new Float64Array(0), new Float64Array(0)];
  if (isCounting(gpu)) return { u, s: new Float64Array(Math.min(m, n)), v };
  let found = decomposed.get(w);
  if (!found) decomposed.set(w, found = svd(await gpu.read(w), { m, n }));
  return found;
}

/**
 * B₀ = U √(S / s) and A₀ = √(S / s) Vᵀ of r triplets from number `first` on, with s = α / r.
 *
 * @throws {RangeError} If α is not positive, as S is divided by it.
 */
export function balancedFactors(
  gpu: Gpu,
  found: Svd,
  target: Pick<Target, "out" | "in">,
  config: Pick<AdapterConfig, "method" | "rank" | "alpha">,
  first = 0,
): Factors {
  const { a, b } = balancedOnHost(found, target, config, first);
  return {
    a: gpu.keep(gpu.upload(a, [config.rank, target.in])),
    b: gpu.keep(gpu.upload(b, [target.out, config.rank])),
  };
}

/** What `balancedFactors` uploads: A₀ `[r, in]` and B₀ `[out, r]`, rounded to f32. */
export function balancedOnHost(
  found: Svd,
  { out: m, in: n }: Pick<Target, "out" | "in">,
  { method, rank, alpha }: Pick<AdapterConfig, "method" | "rank" | "alpha">,
  first = 0,
): { a: Float32Array<ArrayBuffer>; b: Float32Array<ArrayBuffer> } {
  if (!(alpha > 0)) {
    throw new RangeError(
      `Cannot start ${method} with alpha ${alpha}: expected a number > 0, as S is divided by it`,
    );
  }
  return balanced(found, { m, n, rank, first }, alpha / rank);
}
