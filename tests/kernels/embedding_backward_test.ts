import { assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { embeddingBackward, embeddingPlan } from "../../lib/ops/embedding.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./embedding_backward_cases.ts";

testCases(cases);

Deno.test("embeddingPlan() sorts tokens by id and keeps their order", async () => {
  const gpu = await testDevice();
  using plan = embeddingPlan(gpu, Uint32Array.of(4, 1, 4, 0, 1, 4), 6);
  assertEquals([...await gpu.read(plan.order)], [3, 1, 4, 0, 2, 5]);
  assertEquals([...await gpu.read(plan.segments)].slice(0, 2 * plan.count), [0, 1, 1, 3, 4, 6]);
});

Deno.test("embeddingPlan() refuses an id outside the table", async () => {
  const gpu = await testDevice();
  assertThrows(
    () => embeddingPlan(gpu, Uint32Array.of(0, 3), 3),
    RangeError,
    "ids[1]: got 3, expected 0 <= id < 3",
  );
});

Deno.test("embeddingBackward() gives the same bits each time, and refuses another plan's table", async () => {
  const gpu = await testDevice();
  const rng = new Rng(4);
  using plan = embeddingPlan(gpu, Uint32Array.from({ length: 500 }, () => rng.below(3)), 3);
  using dx = gpu.upload(Float32Array.from({ length: 500 * 8 }, () => rng.normal()), [500, 8]);
  using first = gpu.tensor([3, 8]);
  using second = gpu.tensor([3, 8]);
  embeddingBackward(gpu, plan, dx, first);
  embeddingBackward(gpu, plan, dx, second);
  assertEquals(await gpu.readBytes(first), await gpu.readBytes(second));
  using other = gpu.tensor([4, 8]);
  assertThrows(() => embeddingBackward(gpu, plan, dx, other), RangeError, "expected v = 3");
});
