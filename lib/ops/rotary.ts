import { bindAxes } from "../core/shape.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { rotary as kernel, rotaryScalar } from "../kernels/rotary.ts";

/** Options of `rotary`. */
export interface RotaryOptions {
  /** Position of the first token; default 0. */
  start?: number;
  /** Turns back: the inverse of a rotation, which is also its transpose and so its gradient. */
  inverse?: boolean;
}

/** How frequencies are stretched, rope_type "llama3" of Hugging Face's configurations. */
export interface RotaryScaling {
  /** What slow frequencies are divided by. */
  readonly factor: number;
  /** Turns in `context` below which a frequency is slow. */
  readonly low: number;
  /** Turns in `context` above which a frequency is fast. */
  readonly high: number;
  /** Tokens of the texts that the model was first trained on. */
  readonly context: number;
}

/**
 * Table for `rotary`: f32 `[positions, c]`, row p holding cos(p · base^(−2i / c)) for i < c / 2, then the sines.
 *
 * Computed in float64 and rounded once, since the sines of some drivers are off by 1e-3.
 *
 * Source: Su et al. 2021, arXiv:2104.09864, eq. (15).
 *
 * @param positions Number of rows.
 * @param c Width of a head, even.
 * @param base Base of the frequencies, `rope_theta` of Hugging Face's configurations.
 * @param scaling Stretches the frequencies (Grattafiori et al. 2024, arXiv:2407.21783, §3.4.2).
 * @throws {RangeError} If `c` is odd.
 */
export function rotaryTable(
  positions: number,
  c: number,
  base: number,
  scaling?: RotaryScaling,
): Float32Array<ArrayBuffer> {
  if (c % 2) throw new RangeError(`Cannot compute rotaryTable with c = ${c}: expected an even head width`);
  const half = c / 2;
  const table = new Float32Array(positions * c);
  const frequencies = Array.from({ length: half }, (_, i) => {
    const frequency = base ** (-2 * i / c);
    return scaling ? stretched(frequency, scaling) : frequency;
  });
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * frequencies[i];
      table[p * c + i] = Math.cos(angle);
      table[p * c + half + i] = Math.sin(angle);
    }
  }
  return table;
}

function stretched(frequency: number, { factor, low, high, context }: RotaryScaling): number {
  const turns = context * frequency / (2 * Math.PI);
  const fast = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return frequency * ((1 - fast) / factor + fast);
}

/**
 * Rotary position embedding, y₁ = x₁ cos − x₂ sin and y₂ = x₂ cos + x₁ sin on channels i and i + c/2 of each head.
 *
 * f32; token j of each text stands at position `start + j`. The gradient with respect to `x` is the same call on
 * the gradient of `y` with `inverse: true`.
 *
 * Source: Su et al. 2021, arXiv:2104.09864, eq. (34), with the pairs of Hugging Face's Llama (the two halves of a
 * head, not neighbours).
 *
 * @param x f32 `[b, t, h, c]`.
 * @param table f32 `[positions, c]` from `rotaryTable`.
 * @returns y, a new f32 `[b, t, h, c]`.
 * @throws {RangeError} If shapes disagree, `c` is odd, or a position lies beyond the table.
 */
export function rotary(gpu: Gpu, x: Tensor, table: Tensor, options: RotaryOptions = {}): Tensor {
  const { start = 0, inverse = false } = options;
  const { b, t, h, c, positions } = bindAxes("rotary", {
    "x [b, t, h, c]": x.shape,
    "table [positions, c]": table.shape,
  });
  if (c % 2) throw new RangeError(`Cannot compute rotary with c = ${c}: expected an even head width`);
  if (start < 0 || start + t > positions) {
    throw new RangeError(
      `Cannot compute rotary with positions ${start} to ${start + t - 1}: expected a table of at least ${
        start + t
      } rows, got ${positions}`,
    );
  }
  const y = gpu.tensor(x.shape);
  const wide = c % 8 === 0;
  const half = wide ? c / 8 : c / 2;
  gpu.run(wide ? kernel : rotaryScalar, [x, table, y], {
    ...{ pairs: b * t * h * half, t, h, half, start },
    direction: inverse ? -1 : 1,
  });
  return y;
}
