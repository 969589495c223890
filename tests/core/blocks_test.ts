import { assertEquals, assertThrows } from "@std/assert";
import { dequantize } from "../../lib/core/blocks.ts";
import {
  type BlockDType,
  blockDTypes,
  blockSize,
  byteWidth,
  type DType,
  isBlockDType,
} from "../../lib/core/dtype.ts";
import { widen } from "../../lib/core/half.ts";
import { readFixture } from "../helpers/fixtures.ts";

const cases = await readFixture<{ type: string; blocks: string; values: string }[]>("gguf_blocks.json.gz");

for (const { type, blocks, values } of cases) {
  Deno.test(`widen() gives what gguf-py gives of ${type}, bit for bit`, () => {
    const widened = widen(type.toLowerCase() as DType, Uint8Array.fromBase64(blocks));
    assertEquals(new Uint8Array(widened.buffer), Uint8Array.fromBase64(values));
  });
}

Deno.test("blockDTypes: all that GGUF has are among the fixtures, with block sizes that a row's bytes follow from", () => {
  const ours: BlockDType[] = ["nf4", "int8"];
  const missing = blockDTypes.filter((dtype) =>
    !ours.includes(dtype) && !cases.some(({ type }) => type.toLowerCase() === dtype)
  );
  assertEquals(missing, []);
  assertEquals(blockDTypes.map((dtype) => blockSize(dtype) * byteWidth(dtype)), [
    18,
    20,
    22,
    24,
    34,
    144,
    210,
    36,
    68,
  ]);
  assertEquals([isBlockDType("f16"), blockSize("f16"), byteWidth("f16")], [false, 1, 2]);
});

Deno.test("dequantize() refuses bytes that end inside a block", () => {
  assertThrows(
    () => dequantize("q4_1", new Uint8Array(39)),
    RangeError,
    "Cannot widen q4_1: got 39 bytes, expected a multiple of 20",
  );
});
