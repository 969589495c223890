import { assert, assertEquals, assertThrows } from "@std/assert";
import { crossEntropy, crossEntropyBackward } from "../../lib/reference/cross_entropy.ts";
import { assertGradients, normals } from "./central_difference.ts";

const dims = { n: 4, d: 3, v: 6 };
const [x, w] = [normals(12, 1), normals(18, 2)];
const targets = Int32Array.of(5, -1, 0, 3);

Deno.test("crossEntropy() of equal logits is ln v", () => {
  const { nll, loss, count } = crossEntropy(x, new Float64Array(18), targets, dims);
  assertEquals([nll[1], count], [0, 3]);
  assert(Math.abs(nll[0] - Math.log(6)) < 4 * Number.EPSILON);
  assert(Math.abs(loss - Math.log(6)) < 4 * Number.EPSILON);
});

Deno.test("crossEntropy() survives logits beyond the range of exp", () => {
  const { nll } = crossEntropy(x.map((value) => 1e5 * value), w, targets, dims);
  assert(nll.every((nats) => Number.isFinite(nats) && nats >= 0));
});

Deno.test("crossEntropyBackward() agrees with central differences and skips masked rows", () => {
  const { dx, dw } = crossEntropyBackward(x, w, targets, crossEntropy(x, w, targets, dims), dims, 0.5);
  assertEquals(dx.subarray(3, 6), new Float64Array(3));
  assertGradients(() => 0.5 * crossEntropy(x, w, targets, dims).loss, { x, w }, { x: dx, w: dw });
});

Deno.test("crossEntropy() with every row masked has loss and gradients of zero", () => {
  const masked = new Int32Array(4).fill(-1);
  const forward = crossEntropy(x, w, masked, dims);
  assertEquals([forward.loss, forward.count], [0, 0]);
  assertEquals(crossEntropyBackward(x, w, masked, forward, dims).dw, new Float64Array(18));
});

Deno.test("crossEntropy() refuses a target outside the vocabulary", () => {
  assertThrows(() => crossEntropy(x, w, Int32Array.of(0, 6, 0, 0), dims), RangeError, "targets[1]: got 6");
});
