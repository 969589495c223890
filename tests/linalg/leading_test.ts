import { assertEquals } from "@std/assert";
import { Rng } from "../../lib/core/rng.ts";
import { type Axes, stacked } from "../../lib/linalg/incremental_svd.ts";
import { leading } from "../../lib/linalg/leading.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";

/** `[m, n]` with singular values 2⁻ⁱ, as sums of random products are not: a spectrum that iteration separates. */
function decaying(m: number, n: number, count: number): Float32Array {
  const rng = new Rng(7, "decaying");
  const normals = (length: number) => Float64Array.from({ length }, () => rng.normal());
  const u = svd(normals(m * count), { m, n: count }).u;
  const v = svd(normals(n * count), { m: n, n: count }).u;
  const scaled = u.map((x, at) => x * 2 ** -(at % count));
  return Float32Array.from(matmul(scaled, v, { m, n, k: count }, "nt"));
}

Deno.test("leading() gives the largest triplets of svd(), tall and wide", async () => {
  const gpu = await testDevice();
  const [count, columns, kept] = [12, 8, 4];
  for (const [m, n] of [[90, 70], [70, 90]]) {
    const w = decaying(m, n, count);
    const whole = svd(w, { m, n });
    using tensor = gpu.upload(w, [m, n]);
    const bytes = gpu.liveBytes;
    const found = await leading(gpu, { name: "w", w: tensor }, { columns, iterations: 4, rng: new Rng(1) });
    assertEquals(gpu.liveBytes, bytes);
    // f32 is off by the rounding of the largest; the iteration by (s₉ / s₄)⁹, which is less.
    const size = EPS * Math.sqrt(m * n);
    expectClose(found.s.subarray(0, kept), whole.s.subarray(0, kept), size * whole.s[0], "singular values");
    for (let i = 0; i < kept; i++) {
      for (const [side, length] of [["u", m], ["v", n]] as const) {
        const vector = ({ s, [side]: x }: typeof whole) =>
          Float64Array.from({ length }, (_, j) => x[j * s.length + i]);
        const [ours, theirs] = [vector(found), vector(whole)];
        const sign = Math.sign(ours.reduce((sum, x, j) => sum + x * theirs[j], 0));
        const far = Math.hypot(...ours.map((x, j) => sign * x - theirs[j]));
        expectClose([far], [0], size * whole.s[0] / (whole.s[i] - whole.s[i + 1]), `${side} ${i}`);
      }
    }
  }
});

Deno.test("stacked() of parts has the axes, the mean and the scatter of all rows about their mean", () => {
  const [m, n] = [30, 6];
  const rng = new Rng(3, "rows");
  const rows = Float32Array.from({ length: m * n }, (_, at) => rng.normal() * (1 + at % n) + 5);
  let axes: Axes | undefined;
  for (const [from, to] of [[0, 4], [4, 5], [5, 22], [22, 30]]) {
    const { matrix, ...known } = stacked(rows.subarray(from * n, to * n), n, axes);
    const { s, v } = svd(matrix, { m: matrix.length / n, n });
    const k = s.length;
    const vectors = Float64Array.from({ length: k * n }, (_, at) => v[(at % n) * k + Math.floor(at / n)]);
    axes = { ...known, s, v: vectors };
  }
  const whole = stacked(rows, n);
  const rounding = m * n * Number.EPSILON;
  assertEquals(axes!.count, m);
  expectClose(axes!.mean, whole.mean, 10 * rounding, "mean");
  expectClose([axes!.scatter], [whole.scatter], rounding * whole.scatter, "scatter");
  const { s } = svd(whole.matrix, { m, n });
  expectClose(axes!.s, s, rounding * s[0], "singular values");
  expectClose([s.reduce((sum, x) => sum + x * x, 0)], [whole.scatter], rounding * whole.scatter, "all of it");
});
