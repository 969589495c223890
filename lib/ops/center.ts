import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { centerSpec } from "../kernels/center.ts";
import { rowLayout } from "./rms_norm.ts";

/**
 * `y = x − mean(x)` of each row of f32 x `[n, d]`: with `rmsNorm` and `bias` after it, a layer norm. It is a symmetric
 * projection, so the gradient of x is the centered gradient of y.
 *
 * Source: Ba et al. 2016, arXiv:1607.06450, eq. (4), taken apart as Zhang and Sennrich 2019, arXiv:1910.07467, §3 do.
 */
export function center(gpu: Gpu, x: Tensor): Tensor {
  const { n, d } = bindAxes("center", { "x [n, d]": x.shape });
  const y = gpu.tensor([n, d]);
  gpu.run(centerSpec(rowLayout(gpu, d)), [x, y], { n, d });
  return y;
}
