import { checkLengths } from "./check.ts";

/** Lengths of queries or keys: `b` texts, `t` tokens, `h` heads of width `c` (even). */
export interface RotaryDims {
  /** Texts. */
  b: number;
  /** Tokens. */
  t: number;
  /** Heads. */
  h: number;
  /** Width of a head, even. */
  c: number;
}

/** Cosines and sines of the angle of each position and frequency, both `[t, c / 2]`. */
export interface RotaryTables {
  /** Cosines. */
  cos: Float64Array;
  /** Sines. */
  sin: Float64Array;
}

/** How frequencies are stretched. */
export interface RotaryScaling {
  /** What slow frequencies are divided by. */
  factor: number;
  /** Turns in `context` below which a frequency is slow. */
  low: number;
  /** Turns in `context` above which a frequency is fast. */
  high: number;
  /** Tokens of the texts that the model was first trained on. */
  context: number;
}

function stretched(frequency: number, { factor, low, high, context }: RotaryScaling): number {
  const wavelength = 2 * Math.PI / frequency;
  if (wavelength > context / low) return frequency / factor;
  if (wavelength < context / high) return frequency;
  const smooth = (context / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

/**
 * Tables for {@linkcode rotary}: the angle of position p and pair i is p · base^(−2i / c).
 *
 * Source: Su et al. 2021, arXiv:2104.09864, eq. (15).
 *
 * @param scaling Stretches the frequencies as Llama 3.1 does (transformers' rope_type "llama3").
 * @param start Position of the first row, for a continuation.
 */
export function rotaryTables(
  { t, c }: Pick<RotaryDims, "t" | "c">,
  base: number,
  start = 0,
  scaling?: RotaryScaling,
): RotaryTables {
  const half = c / 2;
  const frequency = (pair: number) => {
    const plain = base ** (-2 * pair / c);
    return scaling ? stretched(plain, scaling) : plain;
  };
  const angle = (i: number) => (start + Math.floor(i / half)) * frequency(i % half);
  return {
    cos: Float64Array.from({ length: t * half }, (_, i) => Math.cos(angle(i))),
    sin: Float64Array.from({ length: t * half }, (_, i) => Math.sin(angle(i))),
  };
}

/**
 * Rotary position embedding, rotate-half form: channels i and i + c/2 of a head are a pair,
 * y₁ = x₁ cos − x₂ sin, y₂ = x₂ cos + x₁ sin.
 *
 * Source: Su et al. 2021, arXiv:2104.09864, eq. (34), with the pairs of Hugging Face's Llama (the two halves of a
 * head, not neighbours).
 *
 * @param x `[b, t, h, c]`.
 * @returns y, `[b, t, h, c]`.
 */
export function rotary(x: Float64Array, dims: RotaryDims, tables: RotaryTables): Float64Array {
  return rotate("rotary", x, dims, tables, 1);
}

/** Gradient of {@linkcode rotary}: a rotation's transpose is its inverse, so dx turns `dy` back. */
export function rotaryBackward(dy: Float64Array, dims: RotaryDims, tables: RotaryTables): Float64Array {
  return rotate("rotaryBackward", dy, dims, tables, -1);
}

function rotate(
  operation: string,
  x: Float64Array,
  { b, t, h, c }: RotaryDims,
  { cos, sin }: RotaryTables,
  direction: 1 | -1,
): Float64Array {
  const half = c / 2;
  checkLengths(operation, { b, t, h, c, half }, {
    "x [b, t, h, c]": x,
    "cos [t, half]": cos,
    "sin [t, half]": sin,
  });
  const y = new Float64Array(x.length);
  for (let row = 0; row < b * t; row++) {
    for (let head = 0; head < h; head++) {
      for (let i = 0; i < half; i++) {
        const first = (row * h + head) * c + i;
        const second = first + half;
        const cosine = cos[(row % t) * half + i];
        const sine = direction * sin[(row % t) * half + i];
        y[first] = x[first] * cosine - x[second] * sine;
        y[second] = x[second] * cosine + x[first] * sine;
      }
    }
  }
  return y;
}
