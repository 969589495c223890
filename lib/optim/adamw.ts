import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { adamw, type AdamwSettings } from "../ops/adamw.ts";
import { normInto } from "../ops/sum.ts";
import type { Parameters } from "../autograd/parameters.ts";

/**
 * AdamW over an arena of parameters: global norm, clipping, update, gradients back to zero; nothing is read.
 *
 * Source: Loshchilov and Hutter 2019, arXiv:1711.05101v3, algorithm 2, in PyTorch's form.
 */
export class AdamW implements Disposable {
  /** Running mean of the gradients, f32 `[n]`. */
  readonly m: Tensor;
  /** Running mean of the squared gradients, f32 `[n]`. */
  readonly v: Tensor;
  /** Updates done. */
  step = 0;
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;

  /** An optimiser of `parameters`, before its first step. */
  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    const gpu = this.#gpu = parameters.gpu;
    this.m = gpu.keep(gpu.tensor(parameters.data.shape));
    this.v = gpu.keep(gpu.tensor(parameters.data.shape));
    gpu.clear(this.m);
    gpu.clear(this.v);
  }

  /**
   * Records one update from the gradients in the arena, which are zero afterwards.
   *
   * @param norms Element `settings.at` receives the gradients' global norm before clipping.
   */
  update(settings: Omit<AdamwSettings, "step">, norms: Tensor): void {
    const { data, gradient } = this.#parameters;
    normInto(this.#gpu, gradient, norms, { at: settings.at ?? 0 });
    adamw(this.#gpu, { gradient, parameters: data, m: this.m, v: this.v, norm: norms }, {
      ...settings,
      step: ++this.step,
    });
  }

  /** Frees the optimiser's memory. */
  [Symbol.dispose](): void {
    this.m.dispose();
    this.v.dispose();
  }
}
