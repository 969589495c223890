import { assertThrows } from "@std/assert";
import { dropout } from "../../lib/ops/dropout.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./dropout_cases.ts";

testCases(cases);

Deno.test("dropout() refuses shares outside [0, 1)", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([2, 2]);
  for (const p of [-0.1, 1, NaN]) {
    assertThrows(() => dropout(gpu, x, p, [0, 0]), RangeError, `p = ${p}: expected 0 <= p < 1`);
  }
});
