import { assertEquals, assertThrows } from "@std/assert";
import { matmul } from "../../lib/reference/matmul.ts";

const a = Float64Array.of(1, 2, 3, 4, 5, 6); // [2, 3]
const b = Float64Array.of(1, 0, 2, 1, 3, 0); // [3, 2]
const product = Float64Array.of(14, 2, 32, 5);

Deno.test("matmul() multiplies A [m, k] by B [k, n]", () => {
  assertEquals(matmul(a, b, { m: 2, n: 2, k: 3 }), product);
});

Deno.test("matmul() nt and tn read a transposed operand", () => {
  const bT = Float64Array.of(1, 2, 3, 0, 1, 0);
  const aT = Float64Array.of(1, 4, 2, 5, 3, 6);
  assertEquals(matmul(a, bT, { m: 2, n: 2, k: 3 }, "nt"), product);
  assertEquals(matmul(aT, b, { m: 2, n: 2, k: 3 }, "tn"), product);
});

Deno.test("matmul() keeps the products of a batch apart", () => {
  const a2 = Float64Array.of(...a, ...a.map((x) => -x));
  const b2 = Float64Array.of(...b, ...b);
  assertEquals(
    matmul(a2, b2, { m: 2, n: 2, k: 3, batch: 2 }),
    Float64Array.of(...product, ...product.map((x) => -x)),
  );
});

Deno.test("matmul() of no terms is zero and of no rows is empty", () => {
  assertEquals(matmul(new Float64Array(), new Float64Array(), { m: 2, n: 1, k: 0 }), new Float64Array(2));
  assertEquals(matmul(new Float64Array(), b, { m: 0, n: 2, k: 3 }), new Float64Array());
});

Deno.test("matmul() refuses an operand of another length", () => {
  assertThrows(
    () => matmul(a, b, { m: 2, n: 3, k: 3 }),
    RangeError,
    "Cannot compute matmul with b [batch, k, n]: got 6 elements, expected 9",
  );
});
