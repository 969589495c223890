/** Weights that share an absmax. */
export const NF4_BLOCK = 64;

/** Absmaxes that are quantised together. */
const SCALE_BLOCK = 256;

/** Smallest absmax that values are divided by, as in bitsandbytes: a block of zeros stays one. */
const LEAST = Math.fround(1e-38);

/**
 * The 16 values of NormalFloat4, f32, ascending: quantiles of a normal distribution scaled to [−1, 1], with an exact 0.
 *
 * Source: Dettmers et al. 2023, arXiv:2305.14314v1, eq. (4) and appendix E.
 */
export const NF4_LEVELS: Float32Array<ArrayBuffer> = new Float32Array([
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
]);

/** Absmaxes of blocks, themselves quantised: 8 bits each, and an f32 for every 256 of them. */
export interface QuantizedScales {
  /** Place in the dynamic map of each absmax less `offset`, `[blocks]`. */
  readonly codes: Uint8Array<ArrayBuffer>;
  /** Largest absolute value of each 256 of those differences, `[blocks / 256]`, rounded up. */
  readonly absmax: Float32Array<ArrayBuffer>;
  /** The mean of the absmaxes, f32. */
  readonly offset: number;
}

/** Weights in NF4 with double quantisation; 4.127 bits a weight once the codes are packed. */
export interface Nf4 {
  /** Place in `NF4_LEVELS` of each weight, `[n]`. */
  readonly codes: Uint8Array<ArrayBuffer>;
  /** The absmax of each block of 64 weights. */
  readonly scales: QuantizedScales;
}

/**
 * Quantises finite `values` to NF4 with double quantisation: each divided by the absmax of its block of 64 and given the
 * nearest level, the lower of two that are equally near; then the absmaxes, less their mean, likewise in blocks of 256 to
 * the dynamic 8-bit map. The last block of either kind may be short.
 *
 * All arithmetic is f32, as in bitsandbytes, whose codes these are bit for bit on any device that searches the map
 * exactly; only the mean is a sum in float64 here, rounded once. Its CPU build looks absmaxes up in a table, and near a
 * midpoint takes the farther neighbour. With double quantisation a block's own largest weight is not exact.
 *
 * Source: Dettmers et al. 2023, arXiv:2305.14314v1, §3; the map of the second level is that of Dettmers 2016,
 * arXiv:1511.04561v4, as in bitsandbytes, where the paper says 8-bit floats.
 *
 * @example Usage
 * ```ts
 * import { dequantizeNf4, quantizeNf4 } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * const { codes } = quantizeNf4(new Float32Array([-2, 0, 2]));
 * assertEquals([...codes], [0, 7, 15]);
 * assertEquals([...dequantizeNf4(quantizeNf4(new Float32Array([-2, 0, 2])))], [-2, 0, 2]);
 * ```
 */
export function quantizeNf4(values: Float32Array): Nf4 {
  const { codes, absmax } = quantizeBlocks(values, NF4_BLOCK, LEVEL_BOUNDS);
  const offset = Math.fround(absmax.reduce((sum, x) => sum + x, 0) / Math.max(1, absmax.length));
  const scales = quantizeBlocks(absmax.map((x) => x - offset), SCALE_BLOCK, MAP_BOUNDS);
  return { codes, scales: { ...scales, offset } };
}

/** The weights that {@linkcode quantizeNf4} left, f32 `[n]`. */
export function dequantizeNf4({ codes, scales }: Nf4): Float32Array<ArrayBuffer> {
  const absmax = dequantizeScales(scales);
  return Float32Array.from(codes, (code, i) => NF4_LEVELS[code] * absmax[Math.floor(i / NF4_BLOCK)]);
}

/** The absmax of each block as double quantisation leaves it, f32 `[blocks]`: of one near zero it may be negative. */
export function dequantizeScales({ codes, absmax, offset }: QuantizedScales): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    codes,
    (code, i) => Math.fround(DYNAMIC_MAP[code] * absmax[Math.floor(i / SCALE_BLOCK)]) + offset,
  );
}

function quantizeBlocks(values: Float32Array, block: number, bounds: Float32Array) {
  const codes = new Uint8Array(values.length);
  const absmax = new Float32Array(Math.ceil(values.length / block));
  for (let at = 0; at < absmax.length; at++) {
    const [from, to] = [at * block, Math.min(values.length, (at + 1) * block)];
    for (let i = from; i < to; i++) absmax[at] = Math.max(absmax[at], Math.abs(values[i]));
    const inverse = Math.fround(1 / Math.max(absmax[at], LEAST));
    for (let i = from; i < to; i++) codes[i] = place(bounds, Math.fround(values[i] * inverse));
  }
  return { codes, absmax };
}

/** How many of the ascending `bounds` lie below x. */
function place(bounds: Float32Array, x: number): number {
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The dynamic 8-bit map: ±10⁻ᵏ, k = 6 to 0, times the middles of 1, 2, 4, … 64 equal parts of [0.1, 1]; and 0 and 1.
 * Rounded to f32 where PyTorch rounds.
 */
function dynamicMap(): Float32Array<ArrayBuffer> {
  const values = [0, 1];
  const first = Math.fround(0.1);
  for (let parts = 1, exponent = -6; exponent <= 0; parts *= 2, exponent++) {
    const step = Math.fround((1 - first) / parts);
    const edge = (i: number) => Math.fround(2 * i <= parts ? first + step * i : 1 - step * (parts - i));
    for (let i = 0; i < parts; i++) {
      const middle = Math.fround(edge(i) + edge(i + 1)) / 2;
      const value = Math.fround(Math.fround(10 ** exponent) * middle);
      values.push(value, -value);
    }
  }
  return new Float32Array(values).sort();
}

function middles(levels: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: levels.length - 1 },
    (_, i) => Math.fround(levels[i] + levels[i + 1]) / 2,
  );
}

const DYNAMIC_MAP = dynamicMap();
const LEVEL_BOUNDS = middles(NF4_LEVELS);
const MAP_BOUNDS = middles(DYNAMIC_MAP);
