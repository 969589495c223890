import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { Rng, threefry2x32 } from "../../lib/core/rng.ts";

Deno.test("threefry2x32() gives the known answers of Random123", () => {
  const all = 0xffffffff;
  assertEquals(threefry2x32([0, 0], [0, 0]), [0x6b200159, 0x99ba4efe]);
  assertEquals(threefry2x32([all, all], [all, all]), [0x1cb996fc, 0xbb002be7]);
  assertEquals(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3]), [0xc4923a9c, 0x483df7a0]);
});

Deno.test("Rng goes on from its position, and gives other numbers to other seeds and streams", () => {
  const rng = new Rng(7, "a");
  for (let i = 0; i < 5; i++) rng.normal();
  const resumed = new Rng(7, "a", rng.position);
  assertEquals([resumed.bits(), resumed.bits()], [rng.bits(), rng.bits()]);
  const first = [[7, "a"], [7, "b"], [8, "a"], [7 + 2 ** 32, "a"]].map(([seed, stream]) =>
    new Rng(seed as number, stream as string).bits()
  );
  assertEquals(new Set(first).size, 4);
});

Deno.test("Rng.normal() and below() have the moments of their distributions", () => {
  const rng = new Rng(1, "moments");
  const n = 20000;
  const normals = Array.from({ length: n }, () => rng.normal());
  const mean = normals.reduce((sum, x) => sum + x, 0) / n;
  const square = normals.reduce((sum, x) => sum + x * x, 0) / n;
  // Five standard errors.
  assertAlmostEquals(mean, 0, 5 / Math.sqrt(n));
  assertAlmostEquals(square, 1, 5 * Math.sqrt(2 / n));
  const counts = [0, 0, 0];
  for (let i = 0; i < n; i++) counts[rng.below(3)]++;
  for (const count of counts) assertLess(Math.abs(count - n / 3), 5 * Math.sqrt(n * 2 / 9));
});

Deno.test("Rng.shuffle() is a permutation that leaves its input as it was", () => {
  const items = [1, 2, 3, 4, 5, 6, 7, 8];
  const shuffled = new Rng(3).shuffle(items);
  assertEquals(items, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(shuffled.toSorted(), items);
  assertEquals(shuffled, new Rng(3).shuffle(items));
});
