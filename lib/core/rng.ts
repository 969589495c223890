/**
 * Threefry-2x32 with 20 rounds: two 32-bit words that depend on `key` and `counter` alone. Only adds,
 * rotates and exclusive-ors, so WGSL computes the same bits (`kernels/dropout.wgsl`).
 *
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11, §4.3; checked against the
 * known-answer vectors of Random123.
 */
export function threefry2x32(
  key: readonly [number, number],
  counter: readonly [number, number],
): [number, number] {
  const ks = [key[0] >>> 0, key[1] >>> 0, (0x1bd11bda ^ key[0] ^ key[1]) >>> 0];
  let x = (counter[0] + ks[0]) | 0;
  let y = (counter[1] + ks[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const turn = ROTATIONS[round % 8];
    x = (x + y) | 0;
    y = ((y << turn) | (y >>> (32 - turn))) ^ x;
    if (round % 4 === 3) {
      const i = (round + 1) / 4;
      x = (x + ks[i % 3]) | 0;
      y = (y + ks[(i + 1) % 3] + i) | 0;
    }
  }
  return [x >>> 0, y >>> 0];
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * A stream of random numbers that is a function of seed, stream name and position, so a run that is
 * resumed at `position` continues the same stream.
 *
 * @example Usage
 * ```ts
 * import { Rng } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * const rng = new Rng(7, "dropout");
 * rng.uniform();
 * const resumed = new Rng(7, "dropout", rng.position);
 * assertEquals(resumed.uniform(), rng.uniform());
 * ```
 */
export class Rng {
  /** Both words of the generator's key. */
  readonly key: readonly [number, number];
  /** Numbers of 32 bits drawn so far. */
  position: number;

  /** The stream named `stream` of `seed`, from `position` on. */
  constructor(seed: number, stream = "", position = 0) {
    this.key = [seed >>> 0, hash(stream) ^ Math.floor(seed / 2 ** 32)];
    this.position = position;
  }

  /** The next 32 random bits. */
  bits(): number {
    const i = this.position++;
    return threefry2x32(this.key, [i >>> 0, Math.floor(i / 2 ** 32)])[0];
  }

  /** Uniform on [0, 1), 32 bits. */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** Standard normal, by Box and Muller 1958; draws two uniforms. */
  normal(): number {
    const u = (this.bits() + 1) / 2 ** 32;
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A whole number in [0, n), unbiased to 2^-32. */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** One of `items`. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** `items` in a new random order (Fisher and Yates); the input is left as it is. */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
}

/** FNV-1a of the UTF-16 units of `text`, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
