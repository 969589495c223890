import { assert, assertEquals, assertThrows } from "@std/assert";
import { byteWidth } from "../../lib/core/dtype.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { dequantizeNf4, dequantizeScales, NF4_LEVELS, quantizeNf4 } from "../../lib/core/nf4.ts";
import { quantize, quantizedDTypes } from "../../lib/core/quantize.ts";
import { Rng } from "../../lib/core/rng.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { readFixture } from "../helpers/fixtures.ts";

interface Case {
  name: string;
  shape: [number, number];
  w: string;
  nf4: { packed: string; codes: string; absmax: string; offset: number; values: string; table: string };
  int8?: { codes: string; absmax: string };
  q8_0?: string;
  q4_0?: string;
}

const { levels, map, cases } = await readFixture<{ levels: number[]; map: number[]; cases: Case[] }>(
  "quantize.json.gz",
);

const floats = (text: string) => new Float32Array(Uint8Array.fromBase64(text).buffer);
const bytesOf = (values: Float32Array<ArrayBuffer>) => new Uint8Array(values.buffer);
const sha256 = async (values: Float32Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", values)).toHex();

/** Codes two to a byte, the first one high. */
function packed(codes: Uint8Array): Uint8Array {
  return Uint8Array.from(
    { length: Math.ceil(codes.length / 2) },
    (_, i) => codes[2 * i] << 4 | (codes[2 * i + 1] ?? 7),
  );
}

Deno.test("NF4_LEVELS are the quantiles of a normal distribution, to the rounding of their tables", () => {
  // bitsandbytes writes its levels out and also makes them of SciPy's quantiles; the two are off by a rounding.
  expectClose(NF4_LEVELS, levels, levels.map((level) => 2 * EPS * Math.abs(level)), "levels");
});

Deno.test("dequantizeScales() has the dynamic map of bitsandbytes, bit for bit", () => {
  const codes = Uint8Array.from({ length: 256 }, (_, i) => i);
  assertEquals(
    dequantizeScales({ codes, absmax: new Float32Array([1]), offset: 0 }),
    Float32Array.from(map),
  );
});

for (const { name, shape, w, nf4, int8, ...gguf } of cases) {
  Deno.test(`quantizeNf4() gives the codes, absmaxes and values of bitsandbytes, bit for bit: ${name}`, async () => {
    const quantized = quantizeNf4(floats(w));
    const { codes, absmax, offset } = quantized.scales;
    assertEquals(packed(quantized.codes), Uint8Array.fromBase64(nf4.packed));
    assertEquals(offset, nf4.offset);
    assertEquals(codes, Uint8Array.fromBase64(nf4.codes));
    assertEquals(bytesOf(absmax), Uint8Array.fromBase64(nf4.absmax));
    assertEquals(await sha256(dequantizeNf4(quantized)), nf4.values);
  });

  if (int8) {
    Deno.test(`quantize() to int8 gives the codes of bitsandbytes, and the row's absmax: ${name}`, () => {
      const { bytes } = quantize("w", shape, floats(w), "int8");
      const view = new DataView(bytes.buffer);
      const [codes, scales] = [[] as number[], [] as number[]];
      for (let at = 0; at < bytes.length; at += 68) {
        scales.push(view.getFloat32(at, true));
        codes.push(...bytes.subarray(at + 4, at + 68));
      }
      assertEquals(Uint8Array.from(codes), Uint8Array.fromBase64(int8.codes));
      const absmax = floats(int8.absmax);
      assertEquals(scales, scales.map((_, i) => Math.fround(absmax[Math.floor(64 * i / shape[1])] / 127)));
    });
  }
  for (const [dtype, blocks] of Object.entries(gguf) as ["q8_0" | "q4_0", string][]) {
    Deno.test(`quantize() to ${dtype} writes the blocks of gguf-py, bit for bit: ${name}`, () => {
      assertEquals(quantize("w", shape, floats(w), dtype).bytes, Uint8Array.fromBase64(blocks));
    });
  }
}

Deno.test("quantizeNf4() beside the CPU build of bitsandbytes: its absmaxes are off where it takes the farther entry", () => {
  let [farther, blocks] = [0, 0];
  for (const { name, w, nf4 } of cases) {
    if (name === "subnormal") continue; // which its CPU build flushes
    const values = floats(w);
    const ours = dequantizeScales(quantizeNf4(values).scales);
    const theirs = floats(nf4.table);
    const blockMax = ours.map((_, i) =>
      values.subarray(64 * i, 64 * i + 64).reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    );
    const { absmax, offset } = quantizeNf4(values).scales;
    ours.forEach((x, i) => {
      const rounding = 4 * EPS * (Math.abs(offset) + absmax[i >> 8]);
      // Its table has 2¹⁶ entries for [−1, 1].
      const slack = 2 ** -15 * absmax[i >> 8];
      blocks++;
      if (Math.abs(x - theirs[i]) <= rounding) return;
      farther++;
      assert(Math.abs(theirs[i] - blockMax[i]) <= Math.abs(x - blockMax[i]) + slack + rounding);
    });
  }
  assert(farther > 0 && farther < blocks / 100, `${farther} of ${blocks}`);
});

const rng = new Rng(7, "quantize");
const random = Float32Array.from({ length: 6 * 256 }, () => rng.normal());

for (const dtype of quantizedDTypes) {
  Deno.test(`quantize() to ${dtype} and back: within half a step of each weight, and bytes as dtype says`, () => {
    const tensor = quantize("w", [6, 256], random, dtype);
    assertEquals(tensor.bytes.length, random.length * byteWidth(dtype));
    const back = toFloat32(tensor);
    const share = dtype === "int8" ? 256 : dtype === "nf4" ? 64 : 32;
    // Half the widest gap of the grid over its largest value; f16 scales add their rounding, double quantisation of
    // absmaxes the widest gap of its map.
    const half = { nf4: (1 - 0.6961928) / 2, int8: 0.5 / 127, q8_0: 0.5 / 127, q4_0: 1 / 8 }[dtype];
    const scale = { nf4: 0.02, int8: EPS, q8_0: 2 ** -11, q4_0: 2 ** -11 }[dtype];
    const bound = random.map((_, i) => {
      const from = Math.floor(i / share) * share;
      const absmax = Math.max(...random.subarray(from, from + share).map(Math.abs));
      return absmax * (half + scale);
    });
    expectClose(back, random, bound, dtype);
    assert(back.some((x, i) => x !== random[i]));
  });

  Deno.test(`quantize() to ${dtype} leaves zeros zero`, () => {
    assert(toFloat32(quantize("w", [2, 64], new Float32Array(128), dtype)).every((x) => x === 0));
  });

  Deno.test(`quantize() to ${dtype} names the matrix, and the entry, of what it cannot do`, () => {
    for (const bad of [NaN, Infinity]) {
      const values = random.slice();
      values[256 + 3] = bad;
      assertThrows(
        () => quantize("layers.0.q_proj", [6, 256], values, dtype),
        RangeError,
        `Cannot quantize layers.0.q_proj to ${dtype}: entry [1, 3] is ${bad}, expected a finite number`,
      );
    }
    assertThrows(
      () => quantize("layers.0.q_proj", [1, 40], new Float32Array(40), dtype),
      RangeError,
      `got in = 40, expected a multiple of ${dtype.startsWith("q") ? 32 : 64}`,
    );
    assertThrows(() => quantize("q", [2, 64], new Float32Array(64), dtype), RangeError, "expected 2 x 64");
  });
}

Deno.test("quantize() refuses a scale that f16 cannot hold, and takes the largest f32 where scales are f32", () => {
  const values = new Float32Array(128);
  values[70] = 3.4e38;
  assertThrows(
    () => quantize("w", [1, 128], values, "q8_0"),
    RangeError,
    "the scale from entry [0, 64] on is",
  );
  const [nf4, int8] = (["nf4", "int8"] as const).map((dtype) =>
    toFloat32(quantize("w", [1, 128], values, dtype))
  );
  for (const back of [nf4, int8]) expectClose(back, values, values.map((x) => 2 * EPS * x), "values");
});
