import { assert, assertEquals, assertThrows } from "@std/assert";
import { klDivergence } from "../../lib/ops/kl_divergence.ts";
import { klDivergence as twin } from "../../lib/reference/kl_divergence.ts";
import { testCases, testDevice } from "../helpers/device.ts";
import { expectClose } from "../helpers/close.ts";
import { cases } from "./kl_divergence_cases.ts";

testCases(cases);

Deno.test("klDivergence() of two coins is what Kullback and Leibler's formula gives, and not symmetric", () => {
  const logits = (p: number) => Float64Array.of(Math.log(p), Math.log(1 - p));
  const kl = (p: number, q: number) => twin(logits(p), logits(q), Int32Array.of(0), { n: 1, v: 2 })[0];
  // 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75) = ln 2 - ln(3) / 2.
  expectClose([kl(0.5, 0.25)], [Math.LN2 - Math.log(3) / 2], 4 * Number.EPSILON, "KL(1/2, 1/4)");
  expectClose([kl(0.25, 0.5)], [0.75 * Math.log(3) - Math.LN2], 4 * Number.EPSILON, "KL(1/4, 1/2)");
});

Deno.test("klDivergence() never holds more than a chunk of logits of each side", async () => {
  const gpu = await testDevice();
  const [n, d, v] = [256, 64, 1000];
  using x = gpu.upload(new Float32Array(n * d), [n, d]);
  using head = gpu.upload(new Float32Array(v * d), [v, d]);
  using targets = gpu.upload(new Int32Array(n), [n]);
  const before = gpu.liveBytes;
  gpu.pool.resetPeak();
  const chunkBytes = 16 * 4 * v;
  const kl = klDivergence(gpu, { x, head }, { x, head }, targets, { chunkBytes });
  const kept = gpu.liveBytes - before;
  kl.dispose();
  const peak = gpu.pool.peakBytes - before - kept;
  assert(peak >= 2 * chunkBytes && peak <= 2 * 1.125 * chunkBytes, `${peak} bytes`);
  assertEquals(gpu.liveBytes, before);
});

Deno.test("klDivergence() refuses shapes that disagree and targets of another type", async () => {
  const gpu = await testDevice();
  using x = gpu.tensor([3, 4]);
  using head = gpu.tensor([5, 4]);
  using other = gpu.tensor([6, 4]);
  using targets = gpu.tensor([3], "i32");
  using floats = gpu.tensor([3]);
  assertThrows(
    () => klDivergence(gpu, { x, head }, { x, head: other }, targets),
    RangeError,
    "q head [v, d]: got shape [6, 4], expected v = 5",
  );
  assertThrows(
    () => klDivergence(gpu, { x, head }, { x, head }, floats),
    TypeError,
    "targets of f32: expected i32",
  );
});
