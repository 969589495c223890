import type { Method } from "./method.ts";
import { balancedFactors, decompose } from "./singular.ts";

/**
 * MiLoRA: the r smallest singular triplets of W, B₀ = U √(S / s), A₀ = √(S / s) Vᵀ; both are trained, and what W is most
 * of stays as it is.
 *
 * Source: Wang et al. 2024, arXiv:2406.09044, §3.2. Deviations: S is divided by s = α / r, as PEFT does for pissa, and
 * the base stays W, as in olora.
 */
export const milora: Method = {
  name: "milora",
  startsAtZero: false,
  takes: ["freeze"],
  async start(gpu, targets, config) {
    return (await decompose(gpu, targets)).map((found, i) =>
      balancedFactors(gpu, found, targets[i], config, found.s.length - config.rank)
    );
  },
};
