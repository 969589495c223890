import { constant, Tape } from "../autograd/tape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Layer } from "../nn/decoder.ts";
import { matmul } from "../ops/matmul.ts";

/**
 * The matrix that `layer` amounts to with the base's weight W, f32 `[out, in]`: what it makes of the unit vectors. Takes
 * two matrices `[in, in]` and `[in, out]` beside it, and 2 in² out flops more than the layer itself for as many rows.
 */
export function layerWeight(gpu: Gpu, layer: Layer, w: Tensor): Tensor {
  const width = w.shape[1];
  const one = new Float32Array(width * width);
  for (let i = 0; i < width; i++) one[i * (width + 1)] = 1;
  using units = gpu.upload(one, [width, width]);
  using tape = new Tape(gpu, { gradients: false });
  const columns = layer.apply(tape, constant(units), constant(w));
  return matmul(gpu, "tn", columns.value, units);
}
