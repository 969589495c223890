import { assert, assertEquals, assertThrows } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { type Svd, svd } from "../../lib/linalg/svd.ts";
import { svdOfProduct } from "../../lib/linalg/svd_product.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { expectClose } from "../helpers/close.ts";
import { readFixture } from "../helpers/fixtures.ts";

/** A matrix of float32 values and its decomposition by LAPACK, to 12 digits; vectors where they are unique. */
interface SvdCase {
  name: string;
  m: number;
  n: number;
  simple: number;
  w: number[];
  s: number[];
  u: number[];
  v: number[];
}

/** Half a unit of the fixtures' last digit. */
const DIGITS = 5e-12;

/**
 * Fails unless UᵀU = VᵀV = I within 10 eps max(m, n), U diag(s) Vᵀ is W within 60 eps max(m, n) of its largest singular
 * value, and s descends to a number that is not negative. The factors are those of JAX's tests of QR.
 */
function expectSvd(w: ArrayLike<number>, { m, n }: { m: number; n: number }, { u, s, v }: Svd): void {
  const k = Math.min(m, n);
  const unit = Number.EPSILON * Math.max(m, n);
  for (const [name, x, length] of [["U", u, m], ["V", v, n]] as const) {
    for (let i = 0; i < k; i++) {
      for (let j = 0; j <= i; j++) {
        let dot = 0;
        for (let l = 0; l < length; l++) dot += x[l * k + i] * x[l * k + j];
        expectClose([dot], [Number(i === j)], 10 * unit, `${name}ᵀ${name}[${i}, ${j}]`);
      }
    }
  }
  s.forEach((value, i) => assert(value >= 0 && (i === 0 || value <= s[i - 1]), `s[${i}] is ${value}`));
  const product = Float64Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += u[Math.floor(at / n) * k + l] * s[l] * v[(at % n) * k + l];
    return sum;
  });
  expectClose(product, w, 60 * unit * s[0], "U diag(s) Vᵀ");
}

for (const { name, m, n, simple, ...lapack } of await readFixture<SvdCase[]>("svd.json.gz")) {
  Deno.test(`svd() has the properties of one, and LAPACK's values and unique vectors: ${name}`, () => {
    const w = Float64Array.from(lapack.w, Math.fround);
    const found = svd(w, { m, n });
    expectSvd(w, { m, n }, found);
    const k = Math.min(m, n);
    const unit = Number.EPSILON * Math.max(m, n) * lapack.s[0];
    expectClose(found.s, lapack.s, lapack.s.map((s) => 60 * unit + DIGITS * s), "s");
    for (let j = 0; j < simple; j++) {
      const column = (x: ArrayLike<number>, width: number, length: number) =>
        Array.from({ length }, (_, i) => x[i * width + j]);
      const sign = Math.sign(
        column(found.v, k, n).reduce((sum, x, i) => sum + x * lapack.v[i * simple + j], 0),
      );
      for (
        const [side, ours, theirs, length] of [["u", found.u, lapack.u, m], [
          "v",
          found.v,
          lapack.v,
          n,
        ]] as const
      ) {
        // A gap of a tenth of s[0] makes a vector ten times as unsure as the matrix.
        const limit = 600 * Number.EPSILON * Math.max(m, n) + DIGITS;
        expectClose(
          column(ours, k, length),
          column(theirs, simple, length).map((x) => sign * x),
          limit,
          `${side}[${j}]`,
        );
      }
    }
  });
}

Deno.test("svd() takes matrices at both ends of float64", () => {
  const rng = new Rng(1, "svd");
  const normals = Float64Array.from({ length: 35 }, () => rng.normal());
  for (const size of [1e-300, 1e300]) {
    const w = normals.map((x) => x * size);
    expectSvd(w, { m: 7, n: 5 }, svd(w, { m: 7, n: 5 }));
  }
  const tiny = svd([5e-324, 0, 0, 0], { m: 2, n: 2 });
  assertEquals([...tiny.s], [5e-324, 0]);
});

Deno.test("svd() finds small singular values of scaled columns to their own accuracy", () => {
  const q = svd(Float64Array.from({ length: 9 }, (_, i) => Math.sin(i * i)), { m: 3, n: 3 }).u;
  const values = [1, 1e-8, 1e-16];
  const w = q.map((x, at) => x * values[at % 3]);
  expectClose(svd(w, { m: 3, n: 3 }).s, values, values.map((s) => 30 * Number.EPSILON * s), "s");
});

Deno.test("svd() gives the same numbers each time and leaves its input as it is", () => {
  const rng = new Rng(2, "svd");
  const w = Float64Array.from({ length: 40 * 30 }, () => rng.normal());
  const before = w.slice();
  const found = svd(w, { m: 30, n: 40 });
  assertEquals(svd(w, { m: 30, n: 40 }), found);
  assertEquals(w, before);
  expectSvd(w, { m: 30, n: 40 }, found);
});

Deno.test("svd() names an entry that is not finite and a shape that cannot be", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    assertThrows(
      () => svd([1, 2, 3, 4, 5, value], { m: 2, n: 3 }),
      RangeError,
      `Cannot compute svd of w [2, 3]: got ${value} at [1, 2], expected finite numbers`,
    );
  }
  assertThrows(() => svd([1, 2, 3], { m: 2, n: 2 }), RangeError, "got 3 elements, expected 4");
  for (const m of [0, -1, 1.5, NaN]) {
    assertThrows(() => svd([], { m, n: 1 }), RangeError, "expected whole numbers >= 1");
  }
});

Deno.test("expectSvd() fails for another matrix, vectors that are not orthonormal, and values out of order", () => {
  const w = [3, 1, 4, 1, 5, 9];
  const dims = { m: 3, n: 2 };
  const { u, s, v } = svd(w, dims);
  expectSvd(w, dims, { u, s, v });
  assertThrows(() => expectSvd([3, 1, 4, 1, 5, 8], dims, { u, s, v }), Error, "U diag(s) Vᵀ");
  assertThrows(() => expectSvd(w, dims, { u: u.map((x) => x * 1.001), s, v }), Error, "UᵀU");
  assertThrows(() => expectSvd(w, dims, { u, s: s.toReversed(), v }), Error, "s[1]");
});

for (const [m, k, n] of [[7, 3, 5], [3, 5, 9], [9, 6, 4], [1, 1, 1], [40, 8, 30]]) {
  Deno.test(`svdOfProduct() of [${m}, ${k}] and [${k}, ${n}] has the values of the product's own decomposition`, () => {
    const rng = new Rng(m, "svd of a product");
    const [b, a] = [m * k, k * n].map((length) => Float64Array.from({ length }, () => rng.normal()));
    const whole = matmul(b, a, { m, n, k });
    const found = svdOfProduct(b, a, { m, n, k });
    const width = Math.min(m, k, n);
    assertEquals([found.s.length, found.u.length, found.v.length], [width, m * width, n * width]);
    const { s } = svd(whole, { m, n });
    const unit = Number.EPSILON * Math.max(m, n, k) * s[0];
    expectClose(found.s, s.slice(0, width), 60 * unit, "s");
    const scaled = found.u.map((value, at) => value * found.s[at % width]);
    expectClose(matmul(scaled, found.v, { m, n, k: width }, "nt"), whole, 120 * unit, "U diag(s) Vᵀ");
  });
}
