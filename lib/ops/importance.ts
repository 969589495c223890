import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { importanceSpec } from "../kernels/importance.ts";
import { stretchesOf } from "./row_ranges.ts";

/**
 * Moves the averages of how much a loss depends on each parameter, in place: of the sensitivity I = |θ g|,
 * Ī ← β Ī + (1 − β) I, and of how far it strays, Ū ← β Ū + (1 − β) |I − Ī| with the Ī just made.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eqs. (8) to (10), with β₁ = β₂ = β.
 *
 * @param tensors θ, g, Ī and Ū, f32 `[n]` each.
 * @param beta β, in [0, 1).
 * @throws {RangeError} If shapes disagree.
 */
export function importance(
  gpu: Gpu,
  tensors: { parameters: Tensor; gradient: Tensor; mean: Tensor; uncertainty: Tensor },
  beta: number,
): void {
  const { parameters, gradient, mean, uncertainty } = tensors;
  bindAxes("importance", {
    "parameters [n]": parameters.shape,
    "gradient [n]": gradient.shape,
    "mean [n]": mean.shape,
    "uncertainty [n]": uncertainty.shape,
  });
  const stretches = [parameters, gradient, mean, uncertainty].map((tensor) => stretchesOf(gpu, tensor));
  stretches[0].forEach(({ size }, i) =>
    gpu.run(importanceSpec, stretches.map((of) => of[i]), {
      quads: Math.ceil(size / 4),
      beta,
      rest: 1 - beta,
    })
  );
}
