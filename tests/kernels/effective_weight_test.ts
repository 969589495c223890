import { assertThrows } from "@std/assert";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./effective_weight_cases.ts";

testCases(cases);

Deno.test("effectiveWeight() refuses integers and factors of another shape", async () => {
  const gpu = await testDevice();
  using ids = gpu.tensor([2, 2], "u32");
  assertThrows(() => effectiveWeight(gpu, ids), TypeError, "stored as u32: expected f32, f16 or bf16");
  using w = gpu.tensor([4, 6]);
  using a = gpu.tensor([2, 5]);
  using b = gpu.tensor([4, 2]);
  assertThrows(
    () => effectiveWeight(gpu, w, { scale: 1, trained: { a, b } }),
    RangeError,
    "a [r, in]: got shape [2, 5], expected in = 6",
  );
});
