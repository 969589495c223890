import { assert, assertEquals } from "@std/assert";
import { dora, type DoraAdapter, doraBackward } from "../../lib/reference/dora.ts";
import { dropoutMask } from "../../lib/reference/dropout.ts";
import { effectiveWeight } from "../../lib/reference/effective_weight.ts";
import { linear } from "../../lib/reference/linear.ts";
import { rowNorms } from "../../lib/reference/magnitude.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

const dims = { n: 3, in: 5, out: 4 };
const x = normals(15, 1);
const w = normals(20, 2);
const dy = normals(12, 3);
const makeAdapter = (): DoraAdapter => ({
  rank: 2,
  scale: 0.75,
  a: normals(10, 4),
  b: normals(8, 5),
  magnitude: normals(4, 6),
});
const start = { a0: normals(10, 7), b0: normals(8, 8) };
const normsOf = (adapter: DoraAdapter) => rowNorms(effectiveWeight(w, adapter, dims), { d: 4, k: 5 });

Deno.test("dora() with B = 0 and the norms of W as magnitude is the base to rounding, dropout or not", () => {
  const adapter = { ...makeAdapter(), b: new Float64Array(8), magnitude: rowNorms(w, { d: 4, k: 5 }) };
  const base = linear(x, w, dims);
  for (const mask of [undefined, dropoutMask(15, 0.4, [1, 2])]) {
    dora(x, w, dims, adapter, mask).forEach((y, i) =>
      assert(Math.abs(y - base[i]) <= 100 * Number.EPSILON * (1 + Math.abs(y)))
    );
  }
});

Deno.test("dora() multiplies by a weight whose rows have the magnitude's lengths", () => {
  const adapter = makeAdapter();
  const unit = Float64Array.from({ length: 25 }, (_, i) => Number(i % 6 === 0));
  const columns = dora(unit, w, { ...dims, n: 5 }, adapter);
  for (let i = 0; i < 4; i++) {
    const length = Math.hypot(...columns.filter((_, at) => at % 4 === i));
    assert(Math.abs(length - Math.abs(adapter.magnitude[i])) <= 100 * Number.EPSILON);
  }
});

Deno.test("dora() and doraBackward() leave an output without a direction, a row of zeros, alone", () => {
  const zero = Float64Array.from(w, (value, i) => i < 5 ? 0 : value);
  const adapter = { ...makeAdapter(), b: new Float64Array(8) };
  const y = dora(x, zero, dims, adapter);
  assertEquals([y[0], y[4], y[8]], [0, 0, 0]);
  const { db, dm } = doraBackward(x, zero, dy, dims, adapter);
  assertEquals(dm[0], 0);
  assert(db![0] !== 0 && db!.every(Number.isFinite));
});

Deno.test("dora() of a base less s B₀ A₀ is dora() with that start, dropout or not", () => {
  const adapter = { ...makeAdapter(), ...start };
  const less = effectiveWeight(w, { ...adapter, b: new Float64Array(8) }, dims);
  for (const mask of [undefined, dropoutMask(15, 0.4, [1, 2])]) {
    const expected = dora(x, less, dims, makeAdapter(), mask);
    dora(x, w, dims, adapter, mask).forEach((y, i) =>
      assert(Math.abs(y - expected[i]) <= 100 * Number.EPSILON * (1 + Math.abs(y)))
    );
  }
});

for (const [p, before] of [[0, {}], [0.4, {}], [0, start], [0.4, start]] as const) {
  const of = "a0" in before ? " and a start" : "";
  Deno.test(`doraBackward() with dropout ${p}${of} agrees with central differences in which ‖V‖ is a constant`, () => {
    const adapter = { ...makeAdapter(), ...before };
    const mask = p ? dropoutMask(15, p, [1, 2]) : undefined;
    const norm = normsOf(adapter);
    const { dx, dw, da, db, dm } = doraBackward(x, w, dy, dims, adapter, mask);
    assertGradients(
      () => inner(dora(x, w, dims, adapter, mask, norm), dy),
      { x, w, a: adapter.a, b: adapter.b, magnitude: adapter.magnitude },
      { x: dx, w: dw, a: da, b: db, magnitude: dm },
    );
  });
}
