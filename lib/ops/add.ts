import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { addSpec } from "../kernels/add.ts";

/** `z = x + y` for f32 tensors of one shape `[n, d]`. */
export function add(gpu: Gpu, x: Tensor, y: Tensor): Tensor {
  bindAxes("add", { "x [n, d]": x.shape, "y [n, d]": y.shape });
  const z = gpu.tensor(x.shape);
  gpu.run(addSpec, [x, y, z], { quads: Math.ceil(x.size / 4) });
  return z;
}
