import { blockSize, byteWidth } from "./dtype.ts";
import { f16ToF32, f32ToF16, roundEven } from "./half.ts";
import { byteLength, type HostTensor } from "./host_tensor.ts";
import { dequantizeScales, quantizeNf4 } from "./nf4.ts";

/** Formats that the kit quantises to. */
export type QuantizedDType = "nf4" | "int8" | "q8_0" | "q4_0";

/** A matrix that is to be quantised. */
interface Matrix {
  /** Elements, row-major. */
  readonly values: Float32Array;
  /** Elements of a row, whole blocks. */
  readonly width: number;
  /** Writes a scale as f16 at a byte. */
  readonly half: (view: DataView, at: number, scale: number) => void;
}

/** Writes all blocks of a matrix. */
type WriteBlocks = (matrix: Matrix, view: DataView) => void;

const WRITE: Readonly<Record<QuantizedDType, WriteBlocks>> = {
  nf4({ values }, view) {
    const { codes, scales } = quantizeNf4(values);
    dequantizeScales(scales).forEach((absmax, block) => {
      view.setFloat32(block * 36, absmax, true);
      for (let i = 0; i < 32; i++) {
        const pair = block * 64 + 2 * i;
        view.setUint8(block * 36 + 4 + i, codes[pair] << 4 | codes[pair + 1]);
      }
    });
  },
  int8({ values, width }, view) {
    for (let row = 0; row < values.length; row += width) {
      const absmax = largest(values.subarray(row, row + width));
      const inverse = absmax && Math.fround(127 / absmax);
      for (let i = row; i < row + width; i++) {
        const at = Math.floor(i / 64) * 68;
        if (i % 64 === 0) view.setFloat32(at, absmax / 127, true);
        view.setInt8(at + 4 + i % 64, roundEven(Math.fround(values[i] * inverse)));
      }
    }
  },
  q8_0({ values, half }, view) {
    for (let block = 0; 32 * block < values.length; block++) {
      const part = values.subarray(32 * block, 32 * block + 32);
      const d = Math.fround(largest(part) / 127);
      const inverse = d && Math.fround(1 / d);
      half(view, 34 * block, d);
      part.forEach((x, i) => {
        const scaled = Math.fround(x * inverse);
        view.setInt8(34 * block + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
      });
    }
  },
  q4_0({ values, half }, view) {
    for (let block = 0; 32 * block < values.length; block++) {
      const part = values.subarray(32 * block, 32 * block + 32);
      const extreme = part.reduce((most, x) => Math.abs(x) > Math.abs(most) ? x : most, 0);
      const d = extreme / -8;
      const inverse = d && Math.fround(1 / d);
      half(view, 18 * block, d);
      const code = (x: number) => Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5)));
      for (let i = 0; i < 16; i++) {
        view.setUint8(18 * block + 2 + i, code(part[i]) | code(part[i + 16]) << 4);
      }
    }
  },
};

/** Formats that the kit quantises to. */
export const quantizedDTypes: readonly QuantizedDType[] = Object.keys(WRITE) as QuantizedDType[];

/**
 * Quantises a matrix to blocks; `toFloat32` gives back what is left of it.
 *
 * - `nf4`: NormalFloat4 with double quantisation, as {@linkcode quantizeNf4}: blocks of 64 along the row-major elements.
 * - `int8`: the rows of LLM.int8: round(127 w / absmax), ties to even, with the absmax of the whole row. Values are one
 *   product with the f32 nearest to absmax / 127, where bitsandbytes multiplies by absmax and by 1 / 127 in turn.
 * - `q8_0`, `q4_0`: GGUF's, bit for bit what gguf-py writes.
 *
 * Source: Dettmers et al. 2023, arXiv:2305.14314v1; Dettmers et al. 2022, arXiv:2208.07339v2, §2 and eq. (2), without
 * its outliers; ggml, `src/ggml-quants.c`.
 *
 * @param name What errors call the matrix.
 * @param values f32 `[out, in]`.
 * @throws {RangeError} If rows are no whole blocks, an entry is NaN or infinite, or a scale is beyond f16.
 */
export function quantize(
  name: string,
  [out, width]: readonly [out: number, width: number],
  values: Float32Array,
  dtype: QuantizedDType,
): HostTensor {
  const block = blockSize(dtype);
  const refuse = (found: string, expected: string) => {
    throw new RangeError(`Cannot quantize ${name} to ${dtype}: ${found}, expected ${expected}`);
  };
  if (width % block) refuse(`got in = ${width}`, `a multiple of ${block}`);
  if (values.length !== out * width) refuse(`got ${values.length} elements`, `${out} x ${width}`);
  const bad = values.findIndex((x) => !Number.isFinite(x));
  const entry = (i: number) => `entry [${Math.floor(i / width)}, ${i % width}]`;
  if (bad >= 0) refuse(`${entry(bad)} is ${values[bad]}`, "a finite number");
  const shape = [out, width];
  const bytes = new Uint8Array(byteLength(shape, dtype));
  const half = (view: DataView, at: number, scale: number) => {
    const bits = f32ToF16(scale);
    if (!Number.isFinite(f16ToF32(bits))) {
      const first = at / byteWidth(dtype);
      refuse(`the scale from ${entry(first)} on is ${scale}`, "one within f16, at most 65504");
    }
    view.setUint16(at, bits, true);
  };
  WRITE[dtype]({ values, width, half }, new DataView(bytes.buffer));
  return { dtype, shape, bytes };
}

function largest(values: Float32Array): number {
  let absmax = 0;
  for (const x of values) absmax = Math.max(absmax, Math.abs(x));
  return absmax;
}
