import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { requireFinite } from "../linalg/finite.ts";
import { isSmall, leading } from "../linalg/leading.ts";
import { type Svd, svd } from "../linalg/svd.ts";
import type { AdapterConfig } from "./adapter.ts";
import { weightGradients } from "./gradients.ts";
import type { Factors, Method, Target } from "./method.ts";

/** Rounds of subspace iteration, as in PEFT. */
const ITERATIONS = 4;

/**
 * LoRA-GA: the factors start along the gradient G = U S Vᵀ of the weight on some batches, so that the first update
 * of B A is close to that of the weight: A₀ = V[:, :r]ᵀ and B₀ = U[:, r:2r] S[r:2r] d, with d = out^¼ / √γ; both
 * are trained. With `stable: "paper"` A₀ = d V[:, :r]ᵀ and B₀ = d U[:, r:2r]. r is at most min(out, in) / 2.
 *
 * Triplets come from subspace iteration on a space of 4 r dimensions, of small matrices from the whole
 * decomposition. Beside the factors the start takes the gradients of the targets, f32.
 *
 * Source: Wang et al. 2024, arXiv:2407.05000, §3.2 and §3.3, as PEFT's `lora_ga` has it: direction "ArB2r" and
 * scale "stable". There the singular values are in B₀, in the authors' own code they are not, and d is in both
 * factors: that is "paper". Deviations: the base stays W, as in olora; G is the mean over batches of their mean
 * losses' gradients, with PEFT the caller's choice.
 */
export const loraGa: Method = {
  name: "lora-ga",
  startsAtZero: false,
  takes: ["freeze", "gamma", "stable", "magnitude"],
  batches: 8,
  async start(gpu, targets, config, context) {
    const { rank } = config;
    for (const { module, out, in: width } of targets) {
      if (2 * rank <= Math.min(out, width)) continue;
      throw new RangeError(
        `Cannot start lora-ga with rank ${rank}: expected 2 rank <= min(out, in) = ${
          Math.min(out, width)
        } for ${module}`,
      );
    }
    const gradients = weightGradients(targets, context!);
    try {
      const named = targets.map(({ module }, i) => ({ name: `the gradient of ${module}`, w: gradients[i] }));
      await requireFinite(gpu, "decompose", named);
      const factors: Factors[] = [];
      for (const [i, target] of targets.entries()) {
        const { out: m, in: n } = target;
        const columns = 4 * rank;
        const rng = new Rng(config.seed, `lora-ga ${target.module}`);
        const found = isSmall(m, n, columns)
          ? svd(await gpu.read(gradients[i]), { m, n })
          : await leading(gpu, named[i], { columns, iterations: ITERATIONS, rng });
        factors.push(factorsOf(gpu, found, target, config));
      }
      return factors;
    } finally {
      for (const gradient of gradients) gradient.dispose();
    }
  },
};

function factorsOf(
  gpu: Gpu,
  { u, s, v }: Svd,
  { out: m, in: n }: Target,
  { rank, gamma = 16, stable = "peft" }: AdapterConfig,
): Factors {
  const k = s.length;
  const size = m ** 0.25 / Math.sqrt(gamma);
  const a = new Float32Array(rank * n);
  const b = new Float32Array(m * rank);
  for (let i = 0; i < rank; i++) {
    const [ofA, ofB] = stable === "peft" ? [1, size * s[rank + i]] : [size, size];
    for (let j = 0; j < n; j++) a[i * n + j] = ofA * v[j * k + i];
    for (let j = 0; j < m; j++) b[j * rank + i] = ofB * u[j * k + rank + i];
  }
  return { a: gpu.keep(gpu.upload(a, [rank, n])), b: gpu.keep(gpu.upload(b, [m, rank])) };
}
