import { assertThrows } from "@std/assert";
import { sumInto } from "../../lib/ops/sum.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./sum_cases.ts";

testCases(cases);

Deno.test("sumInto() refuses an element that is not there", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([5]);
  using y = gpu.tensor([2]);
  assertThrows(() => sumInto(gpu, x, y, { at: 2 }), RangeError, "element 2: expected an index below 2");
});
