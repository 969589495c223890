import { threefry2x32 } from "../core/rng.ts";

/**
 * Dropout mask: element i is kept, and scaled by 1 / (1 − p), iff the first word of Threefry-2x32 at counter i is at
 * least p · 2³²; the others are 0. A function of `key` and i alone, so the backward pass computes it again.
 *
 * Source: Srivastava et al. 2014, JMLR 15, in the inverted form that leaves the expectation as it is.
 *
 * @param n Elements.
 * @param p Share of elements to drop, in [0, 1).
 * @param key Key of the generator.
 * @throws {RangeError} If p is outside [0, 1).
 */
export function dropoutMask(n: number, p: number, key: readonly [number, number]): Float64Array {
  if (!(p >= 0 && p < 1)) {
    throw new RangeError(`Cannot compute dropout with p: got ${p}, expected 0 <= p < 1`);
  }
  const kept = 1 / (1 - p);
  return Float64Array.from(
    { length: n },
    (_, i) => threefry2x32(key, [i >>> 0, Math.floor(i / 2 ** 32)])[0] >= p * 2 ** 32 ? kept : 0,
  );
}

/** x times its {@linkcode dropoutMask}. The gradient is the same product: dx = dropout(dy). */
export function dropout(x: Float64Array, p: number, key: readonly [number, number]): Float64Array {
  const mask = dropoutMask(x.length, p, key);
  return x.map((value, i) => value * mask[i]);
}

/** Gradient of {@linkcode dropout} for dL/dy = `dy`. */
export function dropoutBackward(dy: Float64Array, p: number, key: readonly [number, number]): Float64Array {
  return dropout(dy, p, key);
}
