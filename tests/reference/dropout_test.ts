import { assert, assertEquals, assertThrows } from "@std/assert";
import { threefry2x32 } from "../../lib/core/rng.ts";
import { dropout, dropoutBackward, dropoutMask } from "../../lib/reference/dropout.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("dropoutMask() keeps element i by the generator's word at counter i", () => {
  const mask = dropoutMask(64, 0.25, [3, 4]);
  mask.forEach((factor, i) => assertEquals(factor, threefry2x32([3, 4], [i, 0])[0] < 2 ** 30 ? 0 : 1 / 0.75));
});

Deno.test("dropoutMask() drops a share p and keeps the expectation", () => {
  const n = 20_000;
  const mask = dropoutMask(n, 0.3, [1, 2]);
  const dropped = mask.filter((factor) => factor === 0).length / n;
  assert(Math.abs(dropped - 0.3) < 4 * Math.sqrt(0.21 / n));
});

Deno.test("dropout() with p = 0 changes nothing", () => {
  const x = normals(9, 1);
  assertEquals(dropout(x, 0, [5, 6]), x);
});

Deno.test("dropoutBackward() agrees with central differences", () => {
  const [x, dy] = [normals(9, 1), normals(9, 2)];
  assertGradients(() => inner(dropout(x, 0.5, [5, 6]), dy), { x }, { x: dropoutBackward(dy, 0.5, [5, 6]) });
});

Deno.test("dropoutMask() refuses p outside [0, 1)", () => {
  for (const p of [1, -0.1, NaN]) {
    assertThrows(() => dropoutMask(1, p, [0, 0]), RangeError, "expected 0 <= p < 1");
  }
});
