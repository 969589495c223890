import { assertEquals, assertThrows } from "@std/assert";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, narrow, widen } from "../../lib/core/half.ts";

Deno.test("f32ToF16() gives back the bits of every f16 number", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const x = f16ToF32(bits);
    if (Number.isNaN(x)) assertEquals(Number.isNaN(f16ToF32(f32ToF16(x))), true);
    else assertEquals(f32ToF16(x), bits);
  }
});

Deno.test("f32ToF16() rounds to nearest, ties to even, into subnormals and infinity", () => {
  const cases: [number, number][] = [
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [-1e10, 0xfc00],
    [2 ** -25, 0],
    [2 ** -25 * 1.01, 1],
    [3 * 2 ** -25, 2],
    [-0, 0x8000],
    [1023.5 * 2 ** -24, 0x400],
  ];
  for (const [x, bits] of cases) assertEquals(f32ToF16(Math.fround(x)), bits, String(x));
});

Deno.test("f32ToBf16() gives back the bits of every bfloat16 number, and rounds ties to even", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const x = bf16ToF32(bits);
    if (Number.isNaN(x)) assertEquals(Number.isNaN(bf16ToF32(f32ToBf16(x))), true);
    else assertEquals(f32ToBf16(x), bits);
  }
  assertEquals(f32ToBf16(1 + 2 ** -8), 0x3f80);
  assertEquals(f32ToBf16(1 + 3 * 2 ** -8), 0x3f82);
  assertEquals(f32ToBf16(3.4028234663852886e38), 0x7f80);
});

Deno.test("widen() undoes narrow() for numbers that the format holds, and refuses half elements", () => {
  const values = new Float32Array([0, -1.5, 2 ** -14, 240]);
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    assertEquals(widen(dtype, narrow(dtype, values)), values);
    assertThrows(() => widen(dtype, new Uint8Array(5)), RangeError, `Cannot widen ${dtype}: got 5 bytes`);
  }
  assertEquals([...widen("i32", new Uint8Array(new Int32Array([-3, 7]).buffer))], [-3, 7]);
});
