import { assert, assertEquals } from "@std/assert";
import { dropoutMask } from "../../lib/reference/dropout.ts";
import { effectiveWeight } from "../../lib/reference/effective_weight.ts";
import { linear, linearBackward } from "../../lib/reference/linear.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

const dims = { n: 3, in: 5, out: 4 };
const x = normals(15, 1);
const w = normals(20, 2);
const dy = normals(12, 3);
const makeAdapter = () => ({
  rank: 2,
  scale: 0.75,
  a: normals(10, 4),
  b: normals(8, 5),
  a0: normals(10, 6),
  b0: normals(8, 7),
});

Deno.test("linear() without an adapter is x Wᵀ", () => {
  assertEquals(
    linear(Float64Array.of(1, 2), Float64Array.of(3, 4, 5, 6), { n: 1, in: 2, out: 2 }),
    Float64Array.of(11, 17),
  );
});

Deno.test("linear() with A = A₀ and B = B₀ is the base", () => {
  const { a, b, ...rest } = makeAdapter();
  assertEquals(linear(x, w, dims, { ...rest, a, b, a0: a, b0: b }), linear(x, w, dims));
});

Deno.test("linear() with an adapter multiplies by effectiveWeight()", () => {
  const adapter = makeAdapter();
  const branch = linear(x, w, dims, adapter);
  const merged = linear(x, effectiveWeight(w, adapter, dims), dims);
  branch.forEach((y, i) => assert(Math.abs(y - merged[i]) <= 100 * Number.EPSILON * (1 + Math.abs(y))));
});

Deno.test("linearBackward() agrees with central differences, with dropout and starting factors", () => {
  const adapter = makeAdapter();
  const mask = dropoutMask(15, 0.4, [1, 2]);
  assert(mask.includes(0) && mask.includes(1 / 0.6));
  const { dx, dw, da, db } = linearBackward(x, w, dy, dims, adapter, mask);
  assertGradients(
    () => inner(linear(x, w, dims, adapter, mask), dy),
    { x, w, a: adapter.a, b: adapter.b },
    { x: dx, w: dw, a: da, b: db },
  );
});

Deno.test("linearBackward() without an adapter agrees with central differences", () => {
  const { dx, dw } = linearBackward(x, w, dy, dims);
  assertGradients(() => inner(linear(x, w, dims), dy), { x, w }, { x: dx, w: dw });
});
