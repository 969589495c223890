import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { dropoutSpec } from "../kernels/dropout.ts";

/**
 * Inverted dropout: `y[i] = x[i] / (1 − p)` where the generator's word at counter i is at least p · 2³², else 0.
 * Its gradient is the same function of dy.
 *
 * Source: Srivastava et al. 2014, JMLR 15; the mask is Threefry-2x32 (`core/rng.ts`), so it is a function of `key`.
 *
 * @throws {RangeError} If p is outside [0, 1).
 */
export function dropout(gpu: Gpu, x: Tensor, p: number, key: readonly [number, number]): Tensor {
  if (!(p >= 0 && p < 1)) throw new RangeError(`Cannot drop out with p = ${p}: expected 0 <= p < 1`);
  const y = gpu.tensor(x.shape);
  gpu.run(dropoutSpec, [x, y], {
    n: x.size,
    key0: key[0],
    key1: key[1],
    threshold: Math.min(Math.ceil(p * 2 ** 32), 2 ** 32 - 1),
    scale: 1 / (1 - p),
  });
  return y;
}
