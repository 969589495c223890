import type { Tensor } from "../gpu/tensor.ts";
import { requireFinite } from "../linalg/finite.ts";
import { type Svd, svd } from "../linalg/svd.ts";
import type { Method } from "./method.ts";

/** Decompositions by the weight: a sweep starts on one model again and again. */
const decomposed = new WeakMap<Tensor, Svd>();

/**
 * PiSSA: the r largest singular triplets of W, B₀ = U √(S / s), A₀ = √(S / s) Vᵀ; both are trained.
 *
 * Source: Meng et al. 2024, arXiv:2404.02948, eqs. (2) to (4); dividing S by s = α / r is PEFT's, and makes s B₀ A₀ the
 * same whatever s is. Deviations: the base stays W, as in olora; the decomposition is Jacobi's in float64 on the host, a
 * quarter of a second for 128 × 128 and minutes for 1024 × 1024.
 */
export const pissa: Method = {
  name: "pissa",
  startsAtZero: false,
  takes: ["freeze"],
  async start(gpu, targets, { rank, alpha }) {
    if (!(alpha > 0)) {
      throw new RangeError(
        `Cannot start pissa with alpha ${alpha}: expected a number > 0, as S is divided by it`,
      );
    }
    await requireFinite(gpu, "decompose", targets.map(({ module, w }) => ({ name: module, w })));
    const starts: { a: Float32Array; b: Float32Array }[] = [];
    for (const { w, out: m, in: n } of targets) {
      if (!decomposed.has(w)) decomposed.set(w, svd(await gpu.read(w), { m, n }));
      const { u, s, v } = decomposed.get(w)!;
      const k = s.length;
      const root = Array.from({ length: rank }, (_, i) => Math.sqrt(s[i] * rank / alpha));
      starts.push({
        a: Float32Array.from({ length: rank * n }, (_, at) => {
          const [i, j] = [Math.floor(at / n), at % n];
          return root[i] * v[j * k + i];
        }),
        b: Float32Array.from({ length: m * rank }, (_, at) => {
          const [i, j] = [Math.floor(at / rank), at % rank];
          return root[j] * u[i * k + j];
        }),
      });
    }
    return starts.map(({ a, b }, i) => ({
      a: gpu.keep(gpu.upload(a, [rank, targets[i].in])),
      b: gpu.keep(gpu.upload(b, [targets[i].out, rank])),
    }));
  },
};
