import { assertEquals, assertThrows } from "@std/assert";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

Deno.test("Tensor.view() starts at multiples of 256 bytes inside its tensor, and lives as long", async () => {
  const live = gpu.liveBytes;
  using x = gpu.upload(Float32Array.from({ length: 200 }, (_, i) => i), [200]);
  const view = x.view([2, 3], 64);
  assertEquals([...await gpu.read(view)], [64, 65, 66, 67, 68, 69]);
  assertEquals([...await gpu.read(view.view([2]))], [64, 65]);
  for (const [shape, start] of [[[4], 1], [[4], 63], [[137], 64], [[1], -64]] as const) {
    assertThrows(() => x.view(shape, start), RangeError, "expected a range inside 200 elements");
  }
  view.dispose();
  assertEquals(x.disposed, false);
  x.dispose();
  assertEquals([view.disposed, gpu.liveBytes], [true, live]);
});

Deno.test("Tensor.reshape() shares the buffer: disposing one disposes both, once", () => {
  const live = gpu.liveBytes;
  const x = gpu.tensor([4, 6]);
  const y = x.reshape([24]);
  assertThrows(() => x.reshape([5, 5]), RangeError, "Cannot reshape [4, 6] to [5, 5]: expected 24 elements");
  y.dispose();
  assertEquals([x.disposed, gpu.liveBytes], [true, live]);
  x.dispose();
  assertEquals(gpu.liveBytes, live);
});
