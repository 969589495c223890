import type { DType } from "../core/dtype.ts";
import { byteLength } from "../core/host_tensor.ts";
import { type Shape, size } from "../core/shape.ts";
import type { Slab } from "./pool.ts";

/** Whether a buffer is still lent out, and how it goes back. */
export interface Life {
  /** Called once, by `dispose`. */
  readonly release: (slab: Slab) => void;
  /** Set by `dispose`. */
  disposed: boolean;
}

/**
 * A tensor on the device: row-major elements of `dtype` in a pooled buffer. Whoever makes it disposes it
 * (`using`, `gpu.scope` or `dispose()`); operations never consume their inputs.
 */
export class Tensor implements Disposable {
  /** Lengths of the axes. */
  readonly shape: Shape;
  /** Element type. */
  readonly dtype: DType;
  /** The buffer that holds the elements. */
  readonly slab: Slab;
  /** First byte of the elements in the buffer, a multiple of 256. */
  readonly offset: number;
  readonly #life: Life;
  readonly #owns: boolean;

  /** Wraps a slab; `life` is shared with the tensors that were derived from this one. */
  constructor(slab: Slab, offset: number, shape: Shape, dtype: DType, life: Life, owns = true) {
    this.slab = slab;
    this.offset = offset;
    this.shape = shape;
    this.dtype = dtype;
    this.#life = life;
    this.#owns = owns;
  }

  /** Number of elements. */
  get size(): number {
    return size(this.shape);
  }

  /** Bytes of the elements. */
  get byteLength(): number {
    return byteLength(this.shape, this.dtype);
  }

  /** Whether the buffer went back to the pool. */
  get disposed(): boolean {
    return this.#life.disposed;
  }

  /**
   * This tensor under another shape. Both own the buffer: disposing one disposes both.
   *
   * @throws {RangeError} If the number of elements differs.
   */
  reshape(shape: Shape): Tensor {
    if (size(shape) !== this.size) {
      throw new RangeError(
        `Cannot reshape [${this.shape.join(", ")}] to [${shape.join(", ")}]: expected ${this.size} elements`,
      );
    }
    return new Tensor(this.slab, this.offset, shape, this.dtype, this.#life, this.#owns);
  }

  /**
   * A stretch of the elements from `start` on, under another shape; it lives as long as this tensor.
   *
   * @throws {RangeError} If the view leaves the tensor or starts at a byte that is no multiple of 256.
   */
  view(shape: Shape, start = 0): Tensor {
    const offset = this.offset + byteLength([start], this.dtype);
    if (start < 0 || start + size(shape) > this.size || offset % 256) {
      throw new RangeError(
        `Cannot view [${this.shape.join(", ")}] as [${shape.join(", ")}] from element ${start}: ` +
          `expected a range inside ${this.size} elements that starts at a multiple of 256 bytes`,
      );
    }
    return new Tensor(this.slab, offset, shape, this.dtype, this.#life, false);
  }

  /** Gives the buffer back to the pool; a second call, or a call on a view, does nothing. */
  dispose(): void {
    if (!this.#owns || this.#life.disposed) return;
    this.#life.disposed = true;
    this.#life.release(this.slab);
  }

  /** Same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
