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
  /** Updates that were done when the moments last were zero. */
  restartedAt = 0;
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;

  /** An optimiser of `parameters`, before its first step. */
  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    const gpu = this.#gpu = parameters.gpu;
    this.m = gpu.keep(gpu.tensor(parameters.data.shape));
    this.v = gpu.keep(gpu.tensor(parameters.data.shape));
    this.restart();
  }

  /**
   * Records one update from the gradients in the arena, which are zero afterwards.
   *
   * @param norms Element `settings.at` receives the gradients' global norm before clipping.
   */
  update(settings: Omit<AdamwSettings, "step">, norms: Tensor): void {
    const { data, gradient, stretches } = this.#parameters;
    normInto(this.#gpu, gradient, norms, { at: settings.at ?? 0 });
    this.step++;
    for (const { start, length, rate } of stretches) {
      const part = (tensor: Tensor) => tensor.view([length], start);
      const tensors = { gradient: part(gradient), parameters: part(data), m: part(this.m), v: part(this.v) };
      const learningRate = rate * settings.learningRate;
      const step = this.step - this.restartedAt;
      adamw(this.#gpu, { ...tensors, norm: norms }, { ...settings, learningRate, step });
    }
  }

  /** Records that both moments become zero; from then on their bias is corrected as from the first update on. */
  restart(): void {
    this.#gpu.clear(this.m);
    this.#gpu.clear(this.v);
    this.restartedAt = this.step;
  }

  /** Frees the optimiser's memory. */
  [Symbol.dispose](): void {
    this.m.dispose();
    this.v.dispose();
  }
}
