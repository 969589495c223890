import { assertEquals, assertThrows } from "@std/assert";
import { columnPivots } from "../../lib/linalg/pivots.ts";
import { readFixture } from "../helpers/fixtures.ts";

interface Case {
  name: string;
  m: number;
  n: number;
  w: number[];
  pivots: number[];
}

for (const { name, m, n, w, pivots } of await readFixture<Case[]>("pivots.json")) {
  Deno.test(`columnPivots() takes the columns that LAPACK takes: ${name}, ${m} × ${n}`, () => {
    assertEquals(columnPivots(w, [m, n], pivots.length), pivots);
  });
}

Deno.test("columnPivots() of zeros takes the first columns, each once", () => {
  assertEquals(columnPivots(new Float64Array(12), [3, 4], 3), [0, 1, 2]);
});

Deno.test("columnPivots() keeps columns of 1e-20 beside columns of 1e15 apart", () => {
  assertEquals(columnPivots([1e-20, 1e15, 0, 2e-20, 0, 1e-20], [2, 3], 2), [1, 0]);
});

Deno.test("columnPivots() refuses more columns than there can be", () => {
  assertThrows(
    () => columnPivots(new Float64Array(6), [2, 3], 3),
    RangeError,
    "Cannot take 3 pivots: expected at most min(m, n) = 2",
  );
});
