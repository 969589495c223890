import { type BlockDType, blockSize, byteWidth } from "./dtype.ts";
import { NF4_LEVELS } from "./nf4.ts";

/** Writes the elements of the block that starts at byte `at` of `view` to `to`. */
type ReadBlock = (view: DataView, at: number, to: Float32Array) => void;

const half = (view: DataView, at: number) => view.getFloat16(at, true);

/**
 * The four or five bits of element `i` of a block of 32: the low nibbles hold the first half of it, the high ones the
 * second; `qh`, where there is one, the fifth bits.
 */
function small(view: DataView, qs: number, i: number, qh?: number): number {
  const nibble = (view.getUint8(qs + i % 16) >> (i < 16 ? 0 : 4)) & 15;
  return qh === undefined ? nibble : nibble | ((view.getUint32(qh, true) >>> i) & 1) << 4;
}

/** The 6-bit scale (`which` 0) or minimum (4) of part `s` of a Q4_K block, whose 12 bytes of them start at `at`. */
function sixBits(view: DataView, at: number, s: number, which: 0 | 4): number {
  if (s < 4) return view.getUint8(at + which + s) & 63;
  const low = view.getUint8(at + 8 + s - 4) >> which & 15;
  return low | (view.getUint8(at + which + s - 4) >> 2 & 48);
}

/**
 * Products with an f16 are exact in f32 (its 11 bits times at most 13), so the one rounding is that of the last sum; where
 * the scale is an f32, that of the product.
 */
const READ: Readonly<Record<BlockDType, ReadBlock>> = {
  q4_0(view, at, to) {
    const d = half(view, at);
    for (let i = 0; i < 32; i++) to[i] = d * (small(view, at + 2, i) - 8);
  },
  q4_1(view, at, to) {
    const [d, m] = [half(view, at), half(view, at + 2)];
    for (let i = 0; i < 32; i++) to[i] = d * small(view, at + 4, i) + m;
  },
  q5_0(view, at, to) {
    const d = half(view, at);
    for (let i = 0; i < 32; i++) to[i] = d * (small(view, at + 6, i, at + 2) - 16);
  },
  q5_1(view, at, to) {
    const [d, m] = [half(view, at), half(view, at + 2)];
    for (let i = 0; i < 32; i++) to[i] = d * small(view, at + 8, i, at + 4) + m;
  },
  q8_0(view, at, to) {
    const d = half(view, at);
    for (let i = 0; i < 32; i++) to[i] = d * view.getInt8(at + 2 + i);
  },
  q4_k(view, at, to) {
    const [d, dmin] = [half(view, at), half(view, at + 2)];
    for (let i = 0; i < 256; i++) {
      const part = i >> 5;
      const byte = view.getUint8(at + 16 + (i >> 6) * 32 + i % 32);
      const q = part % 2 ? byte >> 4 : byte & 15;
      to[i] = d * sixBits(view, at + 4, part, 0) * q - dmin * sixBits(view, at + 4, part, 4);
    }
  },
  q6_k(view, at, to) {
    const d = half(view, at + 208);
    for (let i = 0; i < 256; i++) {
      const [side, rest] = [i >> 7, i % 128];
      const low = view.getUint8(at + side * 64 + rest % 64) >> (rest < 64 ? 0 : 4) & 15;
      const high = view.getUint8(at + 128 + side * 32 + rest % 32) >> 2 * (rest >> 5) & 3;
      to[i] = d * view.getInt8(at + 192 + (i >> 4)) * ((low | high << 4) - 32);
    }
  },
  nf4(view, at, to) {
    const absmax = view.getFloat32(at, true);
    for (let i = 0; i < 64; i++) {
      to[i] = absmax * NF4_LEVELS[view.getUint8(at + 4 + (i >> 1)) >> (i % 2 ? 0 : 4) & 15];
    }
  },
  int8(view, at, to) {
    const scale = view.getFloat32(at, true);
    for (let i = 0; i < 64; i++) to[i] = scale * view.getInt8(at + 4 + i);
  },
};

/**
 * The elements of whole blocks as f32, bit for bit what `gguf.quants.dequantize` of Python gives of GGUF's and bitsandbytes
 * of NF4.
 *
 * Source: the block formats of ggml, https://github.com/ggml-org/ggml, `src/ggml-common.h` and `src/ggml-quants.c`; `nf4`
 * and `int8` are of our own construction, see `quantize`.
 *
 * @throws {RangeError} If `bytes` does not end with a block.
 */
export function dequantize(dtype: BlockDType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const elements = blockSize(dtype);
  const stride = elements * byteWidth(dtype);
  if (bytes.byteLength % stride) {
    throw new RangeError(
      `Cannot widen ${dtype}: got ${bytes.byteLength} bytes, expected a multiple of ${stride}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.byteLength / stride * elements);
  for (let block = 0; block * stride < bytes.byteLength; block++) {
    READ[dtype](view, block * stride, values.subarray(block * elements, (block + 1) * elements));
  }
  return values;
}
