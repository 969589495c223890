import { assertThrows } from "@std/assert";
import { checkIds, embedding } from "../../lib/ops/embedding.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./embedding_cases.ts";

testCases(cases);

Deno.test("embedding() refuses ids and tables of other types", async () => {
  const gpu = await testDevice();
  using table = gpu.tensor([3, 2]);
  using ids = gpu.tensor([4], "i32");
  assertThrows(() => embedding(gpu, ids, table), TypeError, "ids of i32: expected u32");
  using right = gpu.tensor([4], "u32");
  using integers = gpu.tensor([3, 2], "u32");
  assertThrows(() => embedding(gpu, right, integers), TypeError, "a table of u32");
});

Deno.test("checkIds() names the first id outside the table", () => {
  checkIds("embedding", [0, 1], 2);
  assertThrows(
    () => checkIds("embedding", [0, 1, 2], 2),
    RangeError,
    "Cannot compute embedding with ids[2]: got 2, expected 0 <= id < 2",
  );
  assertThrows(() => checkIds("embedding", [-1], 2), RangeError, "ids[0]: got -1");
});
