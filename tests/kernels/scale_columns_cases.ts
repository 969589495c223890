import { Rng } from "../../lib/core/rng.ts";
import { scaleColumns, scaleColumnsGradient } from "../../lib/ops/scale_columns.ts";
import {
  scaleColumns as twin,
  scaleColumnsGradient as twinGradient,
} from "../../lib/reference/scale_columns.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** g, t, d: single ones, odd lengths, workgroups of 64 elements filled ±1, long sums, no rows in a group. */
const SHAPES = [[1, 1, 1], [3, 1, 5], [1, 9, 7], [5, 3, 21], [3, 3, 7], [2, 16, 2], [13, 5, 1], [1, 517, 3], [
  4,
  0,
  3,
]];

/** The product and the gradient of its factors, which is added to what is there, against their twins. */
export const cases: KernelCase[] = SHAPES.map(([g, t, d]) => ({
  kernel: "scale_columns",
  name: `${g} groups of [${t}, ${d}]`,
  async run(gpu) {
    const rng = new Rng(g * 1000 + t, "scale_columns");
    const normals = (length: number) => Float32Array.from({ length }, () => rng.normal());
    const [x, dy, s, before] = [normals(g * t * d), normals(g * t * d), normals(g * d), normals(g * d)];
    const [wx, wdy, ws] = [x, dy, s].map((values) => Float64Array.from(values));
    const dims = { g, t, d };
    using tx = gpu.upload(x, [g * t, d]);
    using tdy = gpu.upload(dy, [g * t, d]);
    using ts = gpu.upload(s, [g, d]);
    using y = scaleColumns(gpu, tx, ts);
    const expected = twin(wx, ws, dims);
    expectClose(await gpu.read(y), expected, bound(1, expected), "y");
    using into = gpu.upload(before, [g, d]);
    scaleColumnsGradient(gpu, tx, tdy, into);
    const sums = twinGradient(wx, wdy, dims).map((value, i) => value + before[i]);
    const sizes = twinGradient(wx.map(Math.abs), wdy.map(Math.abs), dims).map((value, i) =>
      value + Math.abs(before[i])
    );
    expectClose(await gpu.read(into), sums, bound(t + 1, sizes, EPS), "ds");
  },
}));
