import { assertThrows } from "@std/assert";
import { rmsNorm } from "../../lib/ops/rms_norm.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./rms_norm_cases.ts";

testCases(cases);

Deno.test("rmsNorm() refuses a weight of another width", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([2, 8]);
  using w = gpu.tensor([7]);
  assertThrows(() => rmsNorm(gpu, x, w, { eps: 1e-5 }), RangeError, "w [d]: got shape [7], expected d = 8");
});
