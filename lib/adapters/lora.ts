import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Factors, Method } from "./method.ts";
import { olora } from "./olora.ts";

/**
 * LoRA: A uniform on ±1/√in, B zero.
 *
 * Source: Hu et al. 2021, arXiv:2106.09685v2, §4.1. The paper draws A from a Gaussian; the distribution here is that of
 * the authors' loralib and of PEFT (Kaiming uniform with a = √5). Each module draws from a stream of its own, so its
 * start does not depend on which others are adapted. With `norm: "olora"` A is scaled, layer by layer, to the norm that
 * olora's A₀ has there: a control of our own for what the size of the start does.
 */
export const lora: Method = {
  name: "lora",
  startsAtZero: true,
  takes: ["freeze", "norm"],
  async start(gpu, targets, config) {
    const norms = config.norm && await normsOf(gpu, await olora.start(gpu, targets, config));
    return targets.map(({ module, out, in: width }, i) => {
      const rng = new Rng(config.seed, `lora ${module}`);
      const limit = 1 / Math.sqrt(width);
      const a = Float32Array.from({ length: config.rank * width }, () => (2 * rng.uniform() - 1) * limit);
      if (norms) {
        const factor = norms[i] / Math.sqrt(a.reduce((sum, x) => sum + x * x, 0));
        a.forEach((value, j) => a[j] = factor * value);
      }
      return {
        a: gpu.keep(gpu.upload(a, [config.rank, width])),
        b: gpu.keep(gpu.upload(new Float32Array(out * config.rank), [out, config.rank])),
      };
    });
  },
};

/**
 * rsLoRA: LoRA with the scale s = α / √r.
 *
 * Source: Kalajdzievski 2023, arXiv:2312.03732, theorem 3.2; PEFT's `use_rslora`.
 */
export const rslora: Method = {
  ...lora,
  name: "rslora",
  takes: ["freeze"],
  scale: ({ alpha, rank }) => alpha / Math.sqrt(rank),
};

/**
 * LoRA-FA: LoRA whose A stays where it started; the backward pass needs A x of a layer's input, not x itself.
 *
 * Source: Zhang et al. 2023, arXiv:2308.03303, §3.1. Deviation: x is kept all the same, as the rest of the layer is
 * written for; what is saved is A's gradient and its place in the optimiser.
 */
export const loraFa: Method = { ...lora, name: "lora-fa", frozen: "A", takes: [] };

/**
 * LoRA+: LoRA whose B is trained at `ratio` times the rate of A.
 *
 * Source: Hayou et al. 2024, arXiv:2402.12354, §4; PEFT's `create_loraplus_optimizer`.
 */
export const loraPlus: Method = {
  ...lora,
  name: "lora+",
  takes: ["ratio"],
  ratio: ({ ratio = 16 }) => ratio,
};

/** Frobenius norm of each A₀; frees the factors. */
async function normsOf(gpu: Gpu, factors: readonly Factors[]): Promise<number[]> {
  const norms: number[] = [];
  for (const { a, b } of factors) {
    norms.push(Math.sqrt((await gpu.read(a)).reduce((sum, x) => sum + x * x, 0)));
    a.dispose();
    b.dispose();
  }
  return norms;
}
