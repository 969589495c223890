import { Rng } from "../core/rng.ts";
import type { Method } from "./method.ts";

/**
 * LoRA: A uniform on ±1/√in, B zero.
 *
 * Source: Hu et al. 2021, arXiv:2106.09685v2, §4.1. The paper draws A from a Gaussian; the distribution here is that of
 * the authors' loralib and of PEFT (Kaiming uniform with a = √5). Each module draws from a stream of its own, so its
 * start does not depend on which others are adapted.
 */
export const lora: Method = {
  name: "lora",
  startsAtZero: true,
  start(gpu, targets, { rank, seed }) {
    return Promise.resolve(targets.map(({ module, out, in: width }) => {
      const rng = new Rng(seed, `lora ${module}`);
      const limit = 1 / Math.sqrt(width);
      const a = Float32Array.from({ length: rank * width }, () => (2 * rng.uniform() - 1) * limit);
      return {
        a: gpu.keep(gpu.upload(a, [rank, width])),
        b: gpu.keep(gpu.upload(new Float32Array(out * rank), [out, rank])),
      };
    }));
  },
};
