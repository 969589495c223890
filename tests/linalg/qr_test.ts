import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { narrow, widen } from "../../lib/core/half.ts";
import { Rng } from "../../lib/core/rng.ts";
import { qr, qrAll } from "../../lib/linalg/qr.ts";
import { qr as twin } from "../../lib/reference/qr.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { qrCases } from "../helpers/fixtures.ts";
import { expectFactors } from "./qr_properties.ts";

const gpu = await testDevice();

const normals = (size: number, seed = 1) => {
  const rng = new Rng(seed, "qr");
  return Float32Array.from({ length: size }, () => rng.normal());
};

for (const { name, m, n, unique, w, q, r } of await qrCases()) {
  Deno.test(`qr() has the properties of a QR and LAPACK's unique columns: ${name}`, async () => {
    using tensor = gpu.upload(Float32Array.from(w), [m, n]);
    const result = await qr(gpu, tensor);
    const [actualQ, actualR] = [await gpu.read(result.q), await gpu.read(result.r)];
    result.q.dispose();
    result.r.dispose();
    const width = Math.min(m, n);
    expectFactors({ w, q: actualQ, r: actualR, m, n, columns: width, width });
    // A column of Q is as sure as its diagonal of R is large beside its column of W.
    const unit = 160 * EPS * Math.max(m, n);
    for (let j = 0; j < unique; j++) {
      const scale = Math.max(...Array.from({ length: m }, (_, i) => Math.abs(w[i * n + j]))) || 1;
      const norm = scale * Math.hypot(...Array.from({ length: m }, (_, i) => w[i * n + j] / scale));
      const limit = unit * norm / r[j * n + j] * condition(r, n, j);
      for (let i = 0; i < m; i++) {
        expectClose([actualQ[i * width + j]], [q[i * width + j]], limit, `Q[${i}, ${j}]`);
      }
    }
  });
}

/** How much the columns before the j-th may amplify an error: the largest norm over diagonal among them. */
function condition(r: Float64Array, n: number, j: number): number {
  let worst = 1;
  for (let k = 0; k < j; k++) {
    let largest = 0;
    for (let i = 0; i <= k; i++) largest = Math.max(largest, Math.abs(r[i * n + k]));
    worst = Math.max(worst, largest / r[k * n + k]);
  }
  return worst;
}

Deno.test("qr() with columns gives the first columns of the whole factorisation", async () => {
  const [m, n, columns] = [50, 45, 35];
  const data = normals(m * n);
  using w = gpu.upload(data, [m, n]);
  const { q, r } = await qr(gpu, w, { columns });
  const exact = twin(Float64Array.from(data), { m, n }, { columns });
  const limit = 160 * EPS * m;
  expectClose(await gpu.read(q), exact.q, limit, "Q");
  expectClose(await gpu.read(r), exact.r, limit * Math.sqrt(m), "R");
  q.dispose();
  r.dispose();
});

for (const dtype of ["f16", "bf16"] as const) {
  Deno.test(`qr() factors a matrix stored as ${dtype}`, async () => {
    const [m, n, columns] = [33, 21, 7];
    const bytes = narrow(dtype, normals(m * n));
    using w = gpu.uploadHost({ dtype, shape: [m, n], bytes });
    const { q, r } = await qr(gpu, w, { columns });
    expectFactors({
      w: widen(dtype, bytes),
      q: await gpu.read(q),
      r: await gpu.read(r),
      m,
      n,
      columns,
      width: columns,
    });
    q.dispose();
    r.dispose();
  });
}

Deno.test("qrAll() waits once for all matrices, whatever their number, and frees all but the results", async () => {
  const live = gpu.liveBytes;
  const counts = [];
  for (const count of [1, 7]) {
    const matrices = Array.from({ length: count }, (_, i) => ({
      name: `layers.${i}`,
      w: gpu.upload(normals((20 + i) * 15, i), [20 + i, 15]),
    }));
    await gpu.settled();
    const submits = gpu.submits;
    let reads = 0;
    const read = gpu.readBytes;
    gpu.readBytes = (tensor) => {
      reads++;
      return read.call(gpu, tensor);
    };
    const results = await qrAll(gpu, matrices, { columns: 4 });
    gpu.readBytes = read;
    counts.push([reads, gpu.submits - submits]);
    const made = [...results.flatMap(({ q, r }) => [q, r]), ...matrices.map(({ w }) => w)];
    assertEquals(gpu.liveBytes - live, made.reduce((sum, { slab }) => sum + slab.bytes, 0));
    for (const tensor of made) tensor.dispose();
  }
  assertEquals(counts, [[1, 1], [1, 1]]);
  assertEquals(await qrAll(gpu, []), []);
  assertEquals(gpu.liveBytes, live);
});

Deno.test("qrAll() of matrices of one shape, side by side, gives what each alone does", async () => {
  const matrices = [[20, 15], [70, 9], [20, 15], [20, 15], [70, 9]].map(([m, n], i) => ({
    name: `layers.${i}`,
    w: gpu.upload(normals(m * n, i), [m, n]),
  }));
  // Five columns fit one panel; all of the second shape's with its completion take three.
  // GPUs' products split their sums by the number of matrices; entries of R are as large as a column.
  const limit = gpu.info.isSoftware ? 0 : 160 * EPS * 70 * Math.sqrt(70);
  for (const options of [{ columns: 5 }, { full: true }, {}]) {
    const together = await qrAll(gpu, matrices, options);
    for (const [i, { w }] of matrices.entries()) {
      const alone = await qr(gpu, w, options);
      for (const part of ["q", "r"] as const) {
        expectClose(await gpu.read(together[i][part]), await gpu.read(alone[part]), limit, `${part} of ${i}`);
        alone[part].dispose();
        together[i][part].dispose();
      }
    }
  }
  for (const { w } of matrices) w.dispose();
});

Deno.test("qrAll() names the matrix and the entry that is not finite, and frees everything", async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    // In a column that is factored, and in one that only R = QᵀW sees.
    for (const column of [0, 1, 4]) {
      const data = normals(6 * 5);
      data[3 * 5 + column] = value;
      using good = gpu.upload(normals(6 * 5), [6, 5]);
      using bad = gpu.upload(data, [6, 5]);
      const live = gpu.liveBytes;
      await assertRejects(
        () => qrAll(gpu, [{ name: "q_proj", w: good }, { name: "v_proj", w: bad }], { columns: 2 }),
        RangeError,
        `Cannot factor v_proj: entry [3, ${column}] is ${value}, expected a finite number`,
      );
      assertEquals(gpu.liveBytes, live);
    }
  }
});

Deno.test("qrAll() refuses columns and shapes that no factorisation has, before anything is allocated", async () => {
  using w = gpu.tensor([6, 4]);
  using vector = gpu.tensor([6]);
  using empty = gpu.tensor([0, 4]);
  const live = gpu.liveBytes;
  for (const columns of [0, 5, -1, 1.5, NaN]) {
    await assertRejects(
      () => qrAll(gpu, [{ name: "k_proj", w }], { columns }),
      RangeError,
      `Cannot factor k_proj with columns ${columns}: expected a whole number from 1 to min(m, n) = 4`,
    );
  }
  for (const tensor of [vector, empty]) {
    await assertRejects(() => qr(gpu, tensor), RangeError, "expected a matrix [m, n]");
  }
  await assertRejects(() => qr(gpu, w, { full: true, columns: 2 }), RangeError, "expected one of the two");
  assertEquals(gpu.liveBytes, live);
});

Deno.test("qr() gives the same bits each time", async () => {
  using w = gpu.upload(normals(70 * 70), [70, 70]);
  const results = [];
  for (let i = 0; i < 2; i++) {
    const { q, r } = await qr(gpu, w, { columns: 40 });
    results.push([await gpu.read(q), await gpu.read(r)]);
    q.dispose();
    r.dispose();
  }
  assertEquals(results[0], results[1]);
});

Deno.test("expectFactors() fails for factors of another matrix, of other signs and not orthonormal", () => {
  const [m, n] = [5, 3];
  const w = Float64Array.from(normals(m * n));
  const { q, r } = twin(w, { m, n });
  const dims = { m, n, columns: 3, width: 3 };
  expectFactors({ w, q, r, ...dims });
  const off = (x: Float64Array, at: number) => x.map((value, i) => i === at ? value + 1e-3 : value);
  assertThrows(() => expectFactors({ w: off(w, 1), q, r, ...dims }), Error, "column 1 of QR");
  assertThrows(() => expectFactors({ w, q: off(q, 2), r, ...dims }), Error, "QᵀQ");
  assertThrows(() => expectFactors({ w, q, r: off(r, 3), ...dims }), Error, "column 0 of QR");
  assertThrows(
    () => expectFactors({ w, q: q.map((x) => -x), r: r.map((x) => -x), ...dims }),
    Error,
    "expected >= 0",
  );
});
