import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { adamwSpec } from "../kernels/adamw.ts";
import { stretchesOf } from "./row_ranges.ts";

/** Settings of one AdamW update. */
export interface AdamwSettings {
  /** Number of this update, from 1. */
  step: number;
  /** Step size, dimensionless. */
  learningRate: number;
  /** Decoupled decay λ: parameters shrink by `learningRate * weightDecay` a step. Default 0. */
  weightDecay?: number;
  /** Decay of the mean of gradients. Default 0.9. */
  beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999. */
  beta2?: number;
  /** Added to √v̂. Default 1e-8. */
  eps?: number;
  /** Global norm above which gradients are scaled down to it; 0 for no clipping. Default 0. */
  clip?: number;
  /** Element of `norm` that is the gradient's. Default 0. */
  at?: number;
}

/**
 * One AdamW update of `parameters`, `m` and `v` in place, f32 `[n]` each; `gradient` is zero afterwards.
 *
 * Source: Loshchilov and Hutter 2019, arXiv:1711.05101v3, algorithm 2, as PyTorch computes it. Bias corrections come
 * from the host in float64 and are uniforms of this one update.
 *
 * @param tensors.norm Holds the global norm of the gradients, f32, any length.
 */
export function adamw(
  gpu: Gpu,
  tensors: { gradient: Tensor; parameters: Tensor; m: Tensor; v: Tensor; norm: Tensor },
  settings: AdamwSettings,
): void {
  const { gradient, parameters, m, v, norm } = tensors;
  bindAxes("adamw", {
    "parameters [n]": parameters.shape,
    "gradient [n]": gradient.shape,
    "m [n]": m.shape,
    "v [n]": v.shape,
  });
  const { step, learningRate, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, clip = 0, at = 0 } =
    settings;
  const stretches = [gradient, parameters, m, v].map((tensor) => stretchesOf(gpu, tensor));
  stretches[0].forEach(({ size }, i) => {
    gpu.run(adamwSpec, [...stretches.map((of) => of[i]), norm], {
      quads: Math.ceil(size / 4),
      rate: learningRate,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      eps,
      decay: 1 - learningRate * weightDecay,
      first: 1 / (1 - beta1 ** step),
      second: 1 / (1 - beta2 ** step),
      max_norm: clip,
      at,
    });
  });
}
