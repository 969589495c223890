import { assertEquals, assertLess } from "@std/assert";
import { testDevice } from "../helpers/device.ts";
import { trainingMemory } from "./memory.ts";

// Resident memory goes up and down with the collector of JavaScript's heap by some MiB.
const COLLECTOR = 8 * 2 ** 20;

Deno.test("Trainer: 2,000 steps leave live, pooled and resident bytes flat, and make no bind groups anew", async () => {
  const gpu = await testDevice();
  const live = gpu.liveBytes;
  const { device } = gpu;
  const createBindGroup = device.createBindGroup;
  const groups: number[] = [];
  let made = 0;
  device.createBindGroup = (descriptor) => {
    made++;
    return createBindGroup.call(device, descriptor);
  };
  const samples = await trainingMemory(gpu, 2000, 100, () => groups.push(made));
  device.createBindGroup = createBindGroup;
  assertEquals(gpu.liveBytes, live);
  assertEquals(new Set(samples.map(({ liveBytes }) => liveBytes)).size, 1);
  // Texts of every length have been seen after the first samples.
  assertEquals(new Set(samples.slice(2).map(({ heldBytes }) => heldBytes)).size, 1);
  assertEquals(new Set(groups.slice(2)).size, 1);
  const least = (from: number, to: number) =>
    Math.min(...samples.slice(from, to).map(({ residentBytes }) => residentBytes));
  assertLess(least(15, 20) - least(10, 15), COLLECTOR);
});
