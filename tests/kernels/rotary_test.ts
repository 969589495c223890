import { assertThrows } from "@std/assert";
import { rotary, rotaryTable } from "../../lib/ops/rotary.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./rotary_cases.ts";

testCases(cases);

Deno.test("rotary() refuses positions beyond its table and odd heads", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([1, 4, 1, 8]);
  using table = gpu.upload(rotaryTable(5, 8, 1e4), [5, 8]);
  assertThrows(
    () => rotary(gpu, x, table, { start: 2 }),
    RangeError,
    "expected a table of at least 6 rows, got 5",
  );
  assertThrows(() => rotary(gpu, x, table, { start: -1 }), RangeError, "positions -1");
  using odd = gpu.tensor([1, 4, 1, 7]);
  assertThrows(() => rotary(gpu, odd, table), RangeError, "expected c = 7");
  using oddTable = gpu.tensor([5, 7]);
  assertThrows(() => rotary(gpu, odd, oddTable), RangeError, "expected an even head width");
  assertThrows(() => rotaryTable(5, 7, 1e4), RangeError, "expected an even head width");
});
