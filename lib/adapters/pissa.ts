import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { requireFinite } from "../linalg/finite.ts";
import { leading } from "../linalg/leading.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { Factors, Method, Target } from "./method.ts";
import { balancedFactors, decompose } from "./singular.ts";

/**
 * PiSSA: the r largest singular triplets of W, B₀ = U √(S / s), A₀ = √(S / s) Vᵀ; both are trained.
 *
 * With `iterations` the triplets are those of W on a random space of r dimensions after so many rounds of subspace
 * iteration, all but a small decomposition on the device: what a matrix of 1024 × 1024 wants.
 *
 * Source: Meng et al. 2024, arXiv:2404.02948, eqs. (2) to (4); dividing S by s = α / r is PEFT's, and makes s B₀ A₀ the
 * same whatever s is. The iteration is algorithm 4.4 of Halko, Martinsson and Tropp 2011, arXiv:0909.4061, without
 * oversampling, as in PEFT's `pissa_niter_[k]`. Deviation: the base stays W, as in olora.
 */
export const pissa: Method = {
  name: "pissa",
  peft: "pissa",
  startsAtZero: false,
  takes: ["freeze", "iterations", "magnitude"],
  async start(gpu, targets, config) {
    if (config.iterations !== undefined) return await iterated(gpu, targets, config);
    return (await decompose(gpu, targets)).map((found, i) => balancedFactors(gpu, found, targets[i], config));
  },
};

async function iterated(gpu: Gpu, targets: readonly Target[], config: AdapterConfig): Promise<Factors[]> {
  await requireFinite(gpu, "decompose", targets.map(({ module, w }) => ({ name: module, w })));
  const factors: Factors[] = [];
  for (const target of targets) {
    using wide = target.w.dtype === "f32" ? undefined : effectiveWeight(gpu, target.w);
    const found = await leading(gpu, { name: target.module, w: wide ?? target.w }, {
      columns: config.rank,
      iterations: config.iterations!,
      rng: new Rng(config.seed, `pissa ${target.module}`),
    });
    factors.push(balancedFactors(gpu, found, target, config));
  }
  return factors;
}
