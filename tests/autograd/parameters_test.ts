import { assertEquals } from "@std/assert";
import { Parameters } from "../../lib/autograd/parameters.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

Deno.test("Parameters lays tensors out at multiples of 256 bytes, zero to begin with", async () => {
  const live = gpu.liveBytes;
  {
    const shapes = new Map([["a", [3, 5]], ["b", [64]], ["c", [65, 1]], ["d", [1]]]);
    using parameters = new Parameters(gpu, shapes);
    assertEquals(parameters.names, ["a", "b", "c", "d"]);
    assertEquals(parameters.count, 15 + 64 + 65 + 1);
    assertEquals(parameters.data.size, 64 + 64 + 128 + 64);
    const views = parameters.names.map((name) => parameters.get(name)!);
    assertEquals(views.map(({ value }) => value.offset), [0, 256, 512, 1024]);
    assertEquals(views.map(({ value }) => value.shape), [...shapes.values()]);
    for (const { value, sink, needsGradient } of views) {
      assertEquals([needsGradient, sink!.shape, sink!.offset], [true, value.shape, value.offset]);
    }
    assertEquals(parameters.get("e"), undefined);
    assertEquals((await gpu.read(parameters.data)).every((x) => x === 0), true);
    assertEquals((await gpu.read(parameters.gradient)).every((x) => x === 0), true);
  }
  assertEquals(gpu.liveBytes, live);
});
