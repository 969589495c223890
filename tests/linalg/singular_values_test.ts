import { assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { singularValues } from "../../lib/linalg/singular_values.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { expectClose } from "../helpers/close.ts";
import { readFixture } from "../helpers/fixtures.ts";

interface Case {
  name: string;
  m: number;
  n: number;
  w: number[];
  s: number[];
}

for (const { name, m, n, w, s } of await readFixture<Case[]>("svd.json.gz")) {
  Deno.test(`singularValues() equals LAPACK: ${name}`, () => {
    const values = singularValues(Float32Array.from(w), { m, n });
    // The fixture has twelve digits.
    const bound = 1e-11 * s[0] + 4 * Math.max(m, n) * Number.EPSILON * s[0];
    expectClose(values, s, Array(s.length).fill(bound), "s");
  });
}

Deno.test("singularValues() are those of svd(), of a matrix and of its transpose", () => {
  const rng = new Rng(5);
  for (const [m, n] of [[1, 1], [1, 9], [40, 17], [64, 64]]) {
    const w = Float64Array.from({ length: m * n }, () => rng.normal());
    const turned = Float64Array.from(w, (_, at) => w[(at % m) * n + Math.floor(at / m)]);
    const { s } = svd(w, { m, n });
    const bound = Array(s.length).fill(4 * Math.max(m, n) * Number.EPSILON * s[0]);
    expectClose(singularValues(w, { m, n }), s, bound, `[${m}, ${n}]`);
    expectClose(singularValues(turned, { m: n, n: m }), s, bound, `[${n}, ${m}]`);
  }
});

Deno.test("singularValues() of zeros are zero, and it refuses what is no matrix or not finite", () => {
  assertEquals(singularValues(new Float32Array(6), { m: 2, n: 3 }), new Float64Array(2));
  assertThrows(() => singularValues([1, 2], { m: 1, n: 3 }), RangeError, "got 2 elements, expected 3");
  assertThrows(() => singularValues([], { m: 0, n: 3 }), RangeError, "at least 1");
  assertThrows(() => singularValues([1, 2, NaN, 4], { m: 2, n: 2 }), RangeError, "got NaN at [1, 0]");
});
