/** A device buffer that the pool lends out; `id` names it in bind-group keys. */
export interface Slab {
  /** The buffer. */
  readonly buffer: GPUBuffer;
  /** Unique within the device. */
  readonly id: number;
  /** Bytes of the buffer, a multiple of 256. */
  readonly bytes: number;
  /** The submit in which a recorded command last used it. */
  lastUse: number;
}

/**
 * Buffers by size class, the oldest free one first, so that each training step on a batch of one shape meets the same
 * buffers in the same order, whatever came between, and its bind groups are found again. Sizes are rounded up to eighths of an octave (at most 12.5 % more).
 *
 * Own construction: WebGPU buffers put no pressure on the garbage collector, so they are owned by hand.
 */
export class BufferPool {
  /** Bytes lent out now. */
  liveBytes = 0;
  /** Bytes of all buffers of the pool, lent or free. */
  heldBytes = 0;
  /** Highest `liveBytes` since the last `resetPeak`. */
  peakBytes = 0;
  readonly #make: (bytes: number) => GPUBuffer;
  readonly #free = new Map<number, Slab[]>();
  #nextId = 0;

  /** A pool that makes its buffers by `make`. */
  constructor(make: (bytes: number) => GPUBuffer) {
    this.#make = make;
  }

  /** Lends a buffer of at least `bytes` bytes; its contents are whatever its last user left. */
  take(bytes: number): Slab {
    const rounded = sizeClass(bytes);
    const slab = this.#free.get(rounded)?.pop() ?? this.#create(rounded);
    this.liveBytes += rounded;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    return slab;
  }

  /** Takes `slab` back. */
  give(slab: Slab): void {
    this.liveBytes -= slab.bytes;
    const list = this.#free.get(slab.bytes) ?? [];
    this.#free.set(slab.bytes, list);
    let at = list.length;
    while (at > 0 && list[at - 1].id < slab.id) at--;
    list.splice(at, 0, slab);
  }

  /** Destroys the free buffers. No unsubmitted command may use one. */
  trim(): void {
    for (const list of this.#free.values()) {
      for (const slab of list) {
        slab.buffer.destroy();
        this.heldBytes -= slab.bytes;
      }
    }
    this.#free.clear();
  }

  /** Starts `peakBytes` again from what is live. */
  resetPeak(): void {
    this.peakBytes = this.liveBytes;
  }

  #create(bytes: number): Slab {
    this.heldBytes += bytes;
    return { buffer: this.#make(bytes), id: this.#nextId++, bytes, lastUse: -1 };
  }
}

/** `bytes` rounded up to an eighth of its octave, at least 256. */
export function sizeClass(bytes: number): number {
  if (bytes <= 2048) return Math.max(256, Math.ceil(bytes / 256) * 256);
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - 4);
  return Math.ceil(bytes / step) * step;
}
