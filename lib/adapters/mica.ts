import type { Method } from "./method.ts";
import { decompose } from "./singular.ts";

/**
 * MiCA: B is the left singular vectors of the r smallest singular values of W and is never trained; A starts at zero.
 *
 * Source: Rüdiger and Raschka 2026, arXiv:2604.01694, the abstract, as the body could not be read; PEFT's `mica`, which the
 * start and what is frozen are of.
 */
export const mica: Method = {
  name: "mica",
  peft: "mica",
  startsAtZero: true,
  frozen: "B",
  takes: [],
  async start(gpu, targets, { rank }) {
    return (await decompose(gpu, targets)).map(({ u, s }, i) => {
      const { out, in: width } = targets[i];
      const first = s.length - rank;
      const b = new Float32Array(out * rank);
      for (let row = 0; row < out; row++) {
        for (let j = 0; j < rank; j++) b[row * rank + j] = u[row * s.length + first + j];
      }
      return {
        a: gpu.keep(gpu.upload(new Float32Array(rank * width), [rank, width])),
        b: gpu.keep(gpu.upload(b, [out, rank])),
      };
    });
  },
};
