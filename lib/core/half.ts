import { type DType, isBlockDType } from "./dtype.ts";
import { dequantize } from "./blocks.ts";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The f32 value of the IEEE binary16 number with these 16 `bits`. */
export function f16ToF32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 25) * (1024 + fraction) : sign * 2 ** -24 * fraction;
}

/** The 16 bits of `x` as IEEE binary16, rounded to nearest, ties to even; overflow gives infinity. */
export function f32ToF16(x: number): number {
  f32[0] = x;
  const bits = u32[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | roundEven(Math.abs(f32[0]) * 2 ** 24);
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The f32 value of the bfloat16 number with these 16 `bits`. */
export function bf16ToF32(bits: number): number {
  u32[0] = bits << 16;
  return f32[0];
}

/** The 16 bits of `x` as bfloat16, rounded to nearest, ties to even. */
export function f32ToBf16(x: number): number {
  f32[0] = x;
  const bits = u32[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/**
 * Little-endian `bytes` of `dtype` as f32. Exact for f32, f16 and bf16; integers above 2^24 round; block formats as
 * `dequantize`.
 *
 * @throws {RangeError} If the length is no multiple of the width of an element or a block.
 */
export function widen(dtype: DType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  if (isBlockDType(dtype)) return dequantize(dtype, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = dtype === "f16" || dtype === "bf16" ? 2 : 4;
  if (bytes.byteLength % width) {
    throw new RangeError(
      `Cannot widen ${dtype}: got ${bytes.byteLength} bytes, expected a multiple of ${width}`,
    );
  }
  if (dtype === "f32") return new Float32Array(bytes.slice().buffer);
  const read = {
    f16: (i: number) => f16ToF32(view.getUint16(2 * i, true)),
    bf16: (i: number) => bf16ToF32(view.getUint16(2 * i, true)),
    u32: (i: number) => view.getUint32(4 * i, true),
    i32: (i: number) => view.getInt32(4 * i, true),
  }[dtype];
  return Float32Array.from({ length: bytes.byteLength / width }, (_, i) => read(i));
}

/** `values` as little-endian bytes of `dtype`, rounded to nearest, ties to even. */
export function narrow(
  dtype: "f32" | "f16" | "bf16",
  values: Float32Array,
): Uint8Array<ArrayBuffer> {
  if (dtype === "f32") {
    return new Uint8Array(values.slice().buffer);
  }
  const halves = new Uint16Array(values.length);
  const round = dtype === "f16" ? f32ToF16 : f32ToBf16;
  for (let i = 0; i < values.length; i++) halves[i] = round(values[i]);
  return new Uint8Array(halves.buffer);
}

/** x rounded to a whole number, to the even one of two that are equally near. */
export function roundEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}
