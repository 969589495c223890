import { constant, type Variable } from "../autograd/tape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { DecoderConfig } from "../io/model_config.ts";

/** Keys and values of the tokens before those that are run; the decoder adds to `length` when all layers have been. */
export interface Past {
  /** Tokens held of each text. */
  length: number;
  /** Takes the new rows of a layer and gives all of its rows, `[b (length + t), width]`. */
  extend(layer: number, k: Variable, v: Variable): [Variable, Variable];
}

/** Rotated keys and values of the tokens of one text, so that each new token costs one row; no gradients. */
export class KeyValueCache implements Past, Disposable {
  /** Tokens held. */
  length = 0;
  /** Most tokens that fit. */
  readonly capacity: number;
  readonly #gpu: Gpu;
  readonly #layers: { k: Tensor; v: Tensor }[];

  /** An empty cache for `capacity` tokens. */
  constructor(gpu: Gpu, config: DecoderConfig, capacity: number) {
    this.#gpu = gpu;
    this.capacity = capacity;
    const shape = [capacity, config.keyValueHeads * config.headWidth];
    this.#layers = Array.from({ length: config.layers }, () => ({
      k: gpu.keep(gpu.tensor(shape)),
      v: gpu.keep(gpu.tensor(shape)),
    }));
  }

  /**
   * Appends new rows of a layer and gives all of its rows; the decoder adds to `length` when all layers have been.
   *
   * @throws {RangeError} If the cache is full.
   */
  extend(layer: number, k: Variable, v: Variable): [Variable, Variable] {
    const [t, width] = k.value.shape;
    const total = this.length + t;
    if (total > this.capacity) {
      throw new RangeError(`Cannot hold ${total} tokens: expected at most ${this.capacity}`);
    }
    const held = this.#layers[layer];
    this.#gpu.copy(k.value, held.k, this.length * width);
    this.#gpu.copy(v.value, held.v, this.length * width);
    return [constant(held.k.view([total, width])), constant(held.v.view([total, width]))];
  }

  /** Frees the cache. */
  [Symbol.dispose](): void {
    for (const { k, v } of this.#layers) {
      k.dispose();
      v.dispose();
    }
  }
}
