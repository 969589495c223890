import type { DType } from "../core/dtype.ts";
import { byteLength } from "../core/host_tensor.ts";
import { type Shape, size } from "../core/shape.ts";
import type { Slab } from "./pool.ts";

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
  #release: ((slab: Slab) => void) | undefined;
  #disposed = false;

  /** Wraps a slab; `release` is called once by `dispose`, and is absent for views. */
  constructor(slab: Slab, offset: number, shape: Shape, dtype: DType, release?: (slab: Slab) => void) {
    this.slab = slab;
    this.offset = offset;
    this.shape = shape;
    this.dtype = dtype;
    this.#release = release;
  }

  /** Number of elements. */
  get size(): number {
    return size(this.shape);
  }

  /** Bytes of the elements. */
  get byteLength(): number {
    return byteLength(this.shape, this.dtype);
  }

  /** Whether `dispose` has been called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * The same buffer seen as another shape, from element `start` on; it lives as long as this tensor.
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
    return new Tensor(this.slab, offset, shape, this.dtype);
  }

  /** Gives the buffer back to the pool; a second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release?.(this.slab);
  }

  /** Same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
