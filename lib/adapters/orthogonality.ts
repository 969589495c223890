import type { Variable } from "../autograd/tape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { add } from "../ops/add.ts";
import { matmul } from "../ops/matmul.ts";
import { rmsNorm } from "../ops/rms_norm.ts";

/**
 * The gradient of how far factors are from orthonormal, `weight · mean ‖G‖_F` over the factors, with G = XᵀX − I for a
 * factor X `[m, r]` of no more columns than rows, and G = X Xᵀ − I for another. That gradient is 2 X G / ‖G‖_F, or
 * 2 G X / ‖G‖_F; zero where G is.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eq. (4). Deviation: the norm itself and its mean, as the authors' code and
 * PEFT have it, in place of the sum of its squares. G / ‖G‖ is computed as a norm of one row, G / √(mean(G²)).
 */
export class Orthogonality implements Disposable {
  readonly #gpu: Gpu;
  readonly #factors: readonly Variable[];
  readonly #constants = new Map<number, { minusOne: Tensor; weight: Tensor }>();

  /**
   * The term of these factors.
   *
   * @param factors Parameters.
   * @param weight Weight of the mean beside the loss in nats.
   */
  constructor(gpu: Gpu, factors: readonly Variable[], weight: number) {
    this.#gpu = gpu;
    this.#factors = factors;
    const scale = 2 * weight / factors.length;
    for (const r of new Set(factors.map(rankOf))) {
      const minusOne = Float32Array.from({ length: r * r }, (_, at) => at % (r + 1) ? 0 : -1);
      this.#constants.set(r, {
        minusOne: gpu.keep(gpu.upload(minusOne, [r, r])),
        weight: gpu.keep(gpu.upload(new Float32Array(r * r).fill(scale / r), [r * r])),
      });
    }
  }

  /** Adds the gradient to the factors' sinks. */
  addGradient(): void {
    const gpu = this.#gpu;
    for (const factor of this.#factors) {
      const { value, sink } = factor;
      const r = rankOf(factor);
      const { minusOne, weight } = this.#constants.get(r)!;
      const columns = r === value.shape[1];
      using product = matmul(gpu, columns ? "tn" : "nt", value, value);
      using excess = add(gpu, product, minusOne);
      const { y, rho } = rmsNorm(gpu, excess.view([1, r * r]), weight, { eps: SMALLEST });
      const direction = y.view([r, r]);
      const into = { into: sink!, accumulate: true };
      if (columns) matmul(gpu, "nn", value, direction, into);
      else matmul(gpu, "nn", direction, value, into);
      y.dispose();
      rho.dispose();
    }
  }

  /** Frees its constants. */
  [Symbol.dispose](): void {
    for (const { minusOne, weight } of this.#constants.values()) {
      minusOne.dispose();
      weight.dispose();
    }
  }
}

/** Keeps the root away from zero; far below eps², what roundings of G leave. */
const SMALLEST = 1e-30;

function rankOf({ value }: Variable): number {
  return Math.min(...value.shape);
}
