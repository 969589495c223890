import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { bound, EPS, expectClose } from "./close.ts";

Deno.test("EPS is the spacing of float32 at 1", () => {
  assertEquals(Math.fround(1 + EPS) - 1, EPS);
  assertEquals(Math.fround(1 + EPS / 2) - 1, 0);
});

Deno.test("bound() covers float32 sums of any length and no error ten times as large", () => {
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  for (const n of [1, 2, 3, 17, 256, 4097]) {
    let sum = 0, exact = 0, magnitude = 0;
    for (let i = 0; i < n; i++) {
      const [a, b] = [Math.fround(random()), Math.fround(random())];
      sum = Math.fround(sum + Math.fround(a * b));
      exact += a * b;
      magnitude += Math.abs(a * b);
    }
    const limit = bound(n, [magnitude]);
    expectClose([sum], [exact], limit, `sum of ${n}`);
    assertThrows(() => expectClose([exact + 10 * limit[0]], [exact], limit, "far"), Error, "far: entry 0");
  }
});

Deno.test("bound() adds what WGSL grants", () => {
  assertEquals(bound(4, [0, 1])[1] - bound(4, [0, 1], 3 * EPS)[1], -3 * EPS);
  assertLess(bound(4, [0])[0], 1e-36);
});

Deno.test("expectClose() names the worst entry and how far it is out", () => {
  const error = assertThrows(() => expectClose([1, 2, 9], [1, 2.5, 3], 1, "y"), Error);
  assertEquals(error.message, "y: entry 2 of 3 is 9, expected 3 within 1 (off by 6.00 times that)");
  assertEquals(expectClose([1, 2], [1, 2.5], 1, "y"), 0.5);
});

Deno.test("expectClose() refuses NaN, infinity, missing entries and a bound that is not one", () => {
  for (
    const [actual, expected, limit] of [
      [[NaN], [1], 1],
      [[1], [NaN], 1],
      [[Infinity], [-Infinity], 1],
      [[1], [Infinity], 1],
      [[Infinity], [1], Infinity],
      [[1], [1.5], NaN],
      [[1], [1.5], -1],
      [[1], [1 + EPS], 0],
      [[1], [1, 2], 1],
      [[], [1], 1],
      [[1, 2], [1, 2], [1]],
    ] as [number[], number[], number | number[]][]
  ) {
    assertThrows(() => expectClose(actual, expected, limit, "y"), Error, "y: ");
  }
  expectClose([NaN, Infinity, 0], [NaN, Infinity, -0], 0, "y");
});
