import { assertEquals, assertThrows } from "@std/assert";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { dequantize } from "../../lib/ops/dequantize.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./dequantize_cases.ts";

testCases(cases);

Deno.test("dequantize() refuses what has no blocks and rows that end inside one", async () => {
  const gpu = await testDevice();
  using w = gpu.tensor([4, 32]);
  assertThrows(() => dequantize(gpu, w), TypeError, "Cannot dequantize f32: expected q4_0, q4_1");
  using narrow = gpu.tensor([4, 16], "q8_0");
  assertThrows(() => dequantize(gpu, narrow), RangeError, "got in = 16, expected a multiple of 32 for q8_0");
});

Deno.test("read() gives the elements of blocks, and byteLength their stored bytes", async () => {
  const gpu = await testDevice();
  const host = randomBlocks(new Rng(1), [3, 64], "q4_0");
  using w = gpu.uploadHost(host);
  assertEquals(w.byteLength, 3 * 2 * 18);
  assertEquals(await gpu.read(w), toFloat32(host));
  assertEquals(await gpu.readBytes(w), host.bytes);
});
