import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { largestEigenvalue } from "../../lib/linalg/lanczos.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { matmul } from "../../lib/reference/matmul.ts";

const normals = (length: number, seed: number) => {
  const rng = new Rng(seed, "lanczos");
  return Float64Array.from({ length }, () => rng.normal());
};

/** Q diag(values) Qᵀ for random orthonormal Q, as its product with a vector. */
function symmetric(values: readonly number[]) {
  const n = values.length;
  const q = svd(normals(n * n, 1), { m: n, n }).u;
  const scaled = q.map((x, at) => x * values[at % n]);
  const h = matmul(scaled, q, { m: n, n, k: n }, "nt");
  return (x: Float64Array) => Promise.resolve(matmul(h, x, { m: n, n: 1, k: n }));
}

const SPECTRA: [string, number[]][] = [
  ["one value", [3]],
  ["a gap", [10, 1, 0.5, 0.2, 0, -1]],
  ["a larger negative value", [2, 1, 0, -5, -30]],
  ["a pair of one magnitude and both signs", [4, -4, 1, -1, 0.5, 0]],
  ["all negative", [-1, -2, -3, -4]],
  ["all equal", [7, 7, 7, 7]],
  ["sixty close values", Array.from({ length: 60 }, (_, i) => 1 - i / 100)],
];

for (const [name, values] of SPECTRA) {
  Deno.test(`largestEigenvalue() of a quadratic with ${name} is what it was made with`, async () => {
    const tolerance = 1e-6;
    const found = await largestEigenvalue(symmetric(values), normals(values.length, 2), {
      tolerance,
      iterations: 100,
    });
    const size = Math.max(...values.map(Math.abs));
    assertAlmostEquals(found.value, values[0], tolerance * Math.abs(values[0]) + 100 * Number.EPSILON * size);
    assert(found.residual <= tolerance, `${found.residual}`);
    assertAlmostEquals(Math.hypot(...found.vector), 1, 1e-12);
    assert(found.iterations <= values.length + 2, `${found.iterations} products`);
  });
}

Deno.test("largestEigenvalue() of zero is zero, and says so after two products", async () => {
  const found = await largestEigenvalue((x) => Promise.resolve(x.map(() => 0)), normals(5, 3));
  assertEquals([found.value, found.residual, found.iterations], [0, 0, 2]);
});

Deno.test("largestEigenvalue() stops at the iterations it was given, and its residual says what is missing", async () => {
  const values = Array.from({ length: 200 }, (_, i) => 1 - i / 1000);
  const found = await largestEigenvalue(symmetric(values), normals(200, 4), {
    iterations: 6,
    tolerance: 1e-9,
  });
  assertEquals(found.iterations, 6);
  assert(found.residual > 1e-9 && found.residual < 0.2);
  assert(Math.abs(found.value - 1) <= found.residual);
});

Deno.test("largestEigenvalue() takes products that are a little off", async () => {
  const exact = symmetric([5, 2, 1, -3, 0.5, 0.1, 0, 0]);
  const rng = new Rng(5, "noise");
  const rough = async (x: Float64Array) => (await exact(x)).map((y) => y + 1e-4 * rng.normal());
  const { value, residual } = await largestEigenvalue(rough, normals(8, 6));
  assertAlmostEquals(value, 5, 1e-3 * 5);
  assert(residual <= 1e-3);
});

Deno.test("largestEigenvalue() refuses what has none", async () => {
  const one = (x: Float64Array) => Promise.resolve(x.slice());
  const cases: [() => Promise<unknown>, string][] = [
    [
      () => largestEigenvalue(one, new Float64Array(3)),
      "this start: expected finite numbers that are not all zero",
    ],
    [() => largestEigenvalue(one, Float64Array.of(1, NaN)), "this start"],
    [
      () => largestEigenvalue(one, normals(3, 1), { iterations: 1 }),
      "iterations 1: expected a whole number >= 2",
    ],
    [
      () => largestEigenvalue(one, normals(3, 1), { tolerance: NaN }),
      "tolerance NaN: expected a number >= 0",
    ],
    [
      () => largestEigenvalue((x) => Promise.resolve(x.map(() => NaN)), normals(3, 1)),
      "this matrix: expected products of finite numbers",
    ],
  ];
  for (const [call, message] of cases) await assertRejects(call, RangeError, message);
});
