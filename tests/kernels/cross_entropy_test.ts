import { assert, assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { checkTargets, crossEntropy } from "../../lib/ops/cross_entropy.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { cases } from "./cross_entropy_cases.ts";

testCases(cases);

Deno.test("crossEntropy() never holds more than a chunk of logits", async () => {
  const gpu = await testDevice();
  const [n, d, v] = [256, 64, 1000];
  using x = gpu.upload(new Float32Array(n * d), [n, d]);
  using head = gpu.upload(new Float32Array(v * d), [v, d]);
  using targets = gpu.upload(new Int32Array(n), [n]);
  const before = gpu.liveBytes;
  gpu.pool.resetPeak();
  const chunkBytes = 16 * 4 * v;
  const { nll, dx } = crossEntropy(gpu, x, head, targets, { dx: true, chunkBytes });
  const kept = gpu.liveBytes - before;
  nll.dispose();
  dx?.dispose();
  const partialSums = gpu.info.isSoftware ? 0 : 16 * 4 * d * Math.ceil(v / 128);
  assert(
    gpu.pool.peakBytes - before - kept <= 1.125 * chunkBytes + partialSums,
    `${gpu.pool.peakBytes - before - kept} bytes`,
  );
});

Deno.test("crossEntropy() gives the same bits each time", async () => {
  const gpu = await testDevice();
  const [n, d, v] = [33, 16, 301];
  const rng = new Rng(7);
  const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
  using x = gpu.upload(normal(n * d), [n, d]);
  using head = gpu.upload(normal(v * d), [v, d]);
  using targets = gpu.upload(Int32Array.from({ length: n }, () => rng.below(v)), [n]);
  const bytes = async () => {
    const { nll, dx } = crossEntropy(gpu, x, head, targets, { dx: true });
    const found = [await gpu.readBytes(nll), await gpu.readBytes(dx!)];
    nll.dispose();
    dx!.dispose();
    return found;
  };
  assertEquals(await bytes(), await bytes());
});

Deno.test("crossEntropy() refuses shapes that disagree and targets of another type", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([3, 4]);
  using head = gpu.tensor([5, 4]);
  using short = gpu.tensor([2], "i32");
  assertThrows(
    () => crossEntropy(gpu, x, head, short),
    RangeError,
    "targets [n]: got shape [2], expected n = 3",
  );
  using floats = gpu.tensor([3]);
  assertThrows(() => crossEntropy(gpu, x, head, floats), TypeError, "targets of f32: expected i32");
});

Deno.test("checkTargets() names the first target outside the vocabulary", () => {
  checkTargets("crossEntropy", [-1, 0, 4], 5);
  assertThrows(
    () => checkTargets("crossEntropy", [0, 5], 5),
    RangeError,
    "targets[1]: got 5, expected -1 <= target < 5",
  );
  assertThrows(() => checkTargets("crossEntropy", [-2], 5), RangeError, "targets[0]: got -2");
});
