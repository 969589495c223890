import { assert, assertEquals, assertThrows } from "@std/assert";
import { matmul } from "../../lib/reference/matmul.ts";
import { qr } from "../../lib/reference/qr.ts";
import { qrCases } from "../helpers/fixtures.ts";
import { normals } from "./central_difference.ts";

const EPS = Number.EPSILON;

/** Euclidean norm of each column of `x` `[rows, columns]`, safe from overflow and underflow. */
function columnNorms(x: Float64Array, rows: number, columns: number): number[] {
  return Array.from({ length: columns }, (_, j) => {
    return Math.hypot(...Array.from({ length: rows }, (_, i) => x[i * columns + j]));
  });
}

/** Asserts all that makes `q` and `r` a QR of `w`, in units of eps times size. */
function assertFactors(w: Float64Array, m: number, n: number, columns: number): void {
  const { q, r, c } = qr(w, { m, n }, { columns });
  assertEquals(c, columns);
  const gram = matmul(q, q, { m: c, n: c, k: m }, "tn");
  gram.forEach((x, at) => {
    const expected = Math.floor(at / c) === at % c ? 1 : 0;
    assert(Math.abs(x - expected) <= 10 * EPS * Math.max(m, n), `QᵀQ at ${at} is ${x}`);
  });
  for (let i = 0; i < c; i++) {
    assert(r[i * n + i] >= 0, "diag(R) >= 0");
    for (let j = 0; j < i; j++) assertEquals(r[i * n + j], 0);
  }
  const norms = columnNorms(w, m, n);
  const product = matmul(q, r, { m, n, k: c });
  const difference = columnNorms(product.map((x, at) => x - w[at]), m, n);
  const projected = matmul(q, w, { m: c, n, k: m }, "tn");
  const projection = columnNorms(projected.map((x, at) => x - r[at]), c, n);
  for (let j = 0; j < n; j++) {
    const limit = 60 * EPS * Math.max(m, n) * norms[j];
    if (j < columns || columns === m) {
      assert(difference[j] <= limit, `column ${j} of QR is off by ${difference[j]}`);
    }
    assert(projection[j] <= limit, `column ${j} of R is off by ${projection[j]} from QᵀW`);
  }
}

for (const { name, m, n, unique, w, q, r } of await qrCases()) {
  Deno.test(`qr() factors ${name} with each column to its own rounding, for every number of columns`, () => {
    for (let columns = 1; columns <= Math.min(m, n); columns++) assertFactors(w, m, n, columns);
  });

  Deno.test(`qr() gives LAPACK's factors of ${name} where they are unique`, () => {
    const p = Math.min(m, n);
    const ours = qr(w, { m, n });
    const norms = columnNorms(w, m, n);
    for (let j = 0; j < unique; j++) {
      // LAPACK's Q is off by the condition of the leading columns, at most 1e4 by the fixture's choice, times eps.
      const limit = 1e4 * 10 * EPS * Math.max(m, n);
      for (let i = 0; i < m; i++) assert(Math.abs(ours.q[i * p + j] - q[i * p + j]) <= limit);
      for (let l = 0; l < n; l++) assert(Math.abs(ours.r[j * n + l] - r[j * n + l]) <= limit * norms[l]);
    }
  });
}

Deno.test("qr() factors columns whose squares underflow or overflow in float64", () => {
  const w = normals(35, 1).map((x, at) => x * [1e-200, 1e180, 1, 1e-300, 1e300][at % 5]);
  assertFactors(w, 7, 5, 5);
});

Deno.test("qr() keeps Q orthonormal where what is left of a column is too small to square", () => {
  assertFactors(Float64Array.of(1, 1, 0, 1e-160, 0, 2e-160), 3, 2, 2);
});

Deno.test("qr() full completes Q to an orthonormal basis and R with zero rows", () => {
  const w = normals(15, 2);
  const { q, r, c } = qr(w, { m: 5, n: 3 }, { full: true });
  assertEquals([c, q.length, r.length], [5, 25, 15]);
  matmul(q, q, { m: 5, n: 5, k: 5 }, "tn").forEach((x, at) =>
    assert(Math.abs(x - (at % 6 ? 0 : 1)) < 50 * EPS)
  );
  assert(r.subarray(9).every((x) => x === 0));
  matmul(q, r, { m: 5, n: 3, k: 5 }).forEach((x, at) => assert(Math.abs(x - w[at]) < 50 * EPS));
});

Deno.test("qr() of the first columns is the beginning of the whole", () => {
  const w = normals(48, 3);
  const [whole, part] = [qr(w, { m: 8, n: 6 }), qr(w, { m: 8, n: 6 }, { columns: 2 })];
  assertEquals(part.r, whole.r.subarray(0, 12));
  for (let i = 0; i < 8; i++) {
    for (let j = 0; j < 2; j++) assert(Math.abs(part.q[i * 2 + j] - whole.q[i * 6 + j]) < 10 * EPS);
  }
});

Deno.test("qr() refuses columns beyond min(m, n) and entries that are not finite", () => {
  const w = normals(12, 4);
  for (const columns of [0, 4, 1.5]) {
    assertThrows(() => qr(w, { m: 4, n: 3 }, { columns }), RangeError, "expected 1 <= columns <= 3");
  }
  w[7] = NaN;
  assertThrows(() => qr(w, { m: 4, n: 3 }), RangeError, "got NaN at [2, 1], expected finite numbers");
});
