import { Rng } from "../../lib/core/rng.ts";
import { magnitudeNormsSpec } from "../../lib/kernels/magnitude_norms.ts";
import { magnitudeGradient, rescaleColumns, rescaleRows, rowNorms } from "../../lib/ops/magnitude.ts";
import {
  magnitudeGradient as twinGradient,
  magnitudeScale as twinScale,
  rowNorms as twinNorms,
} from "../../lib/reference/magnitude.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: rows around a workgroup of 64, of one row and chunks of 64, widths that fill vectors and lanes and that do not. */
const SHAPES = [[1, 1], [1, 4], [2, 7], [63, 3], [64, 64], [65, 63], [129, 8], [5, 252], [7, 257], [0, 8]];

const LANES = [1, 8, 64];

const wide = (x: Float32Array) => Float64Array.from(x);

function data(n: number, d: number) {
  const rng = new Rng(n * 1000 + d, "magnitude");
  const normal = (size: number) => Float32Array.from({ length: size }, () => rng.normal());
  return { x: normal(n * d), dy: normal(n * d), normal };
}

function norms(n: number, d: number, lanes: number, width: 1 | 4): KernelCase {
  return {
    kernel: "magnitude_norms",
    name: `[${n}, ${d}], ${lanes} lanes, width ${width}`,
    async run(gpu) {
      const { x } = data(n, d);
      using tx = gpu.upload(x, [n, d]);
      using norm = gpu.tensor([n]);
      gpu.run(magnitudeNormsSpec({ lanes, width }), [tx, norm], { n, d });
      const expected = twinNorms(wide(x), { d: n, k: d });
      expectClose(await gpu.read(norm), expected, bound(d / 4, expected, 2.5 * EPS), "norm");
    },
  };
}

/** Some m are the norm itself, one norm is zero: there x keeps its bits. */
function scale(n: number, d: number, axis: "rows" | "columns"): KernelCase {
  const length = axis === "rows" ? n : d;
  return {
    kernel: "magnitude_scale",
    name: `${axis} of [${n}, ${d}]`,
    async run(gpu) {
      const { x, normal } = data(n, d);
      const norm = normal(length).map((value, k) => k === 2 ? 0 : Math.abs(value));
      const m = normal(length).map((value, k) => k % 3 ? value : norm[k]);
      using tx = gpu.upload(x, [n, d]);
      using tm = gpu.upload(m, [length]);
      using tn = gpu.upload(norm, [length]);
      using y = (axis === "rows" ? rescaleRows : rescaleColumns)(gpu, tx, { m: tm, norm: tn });
      const dims = axis === "rows" ? { n: 1, d: n, inner: d } : { n, d, inner: 1 };
      const expected = twinScale(wide(x), wide(m), wide(norm), dims);
      const at = (i: number) => axis === "rows" ? Math.floor(i / d) : i % d;
      const limit = bound(1, expected, 2.5 * EPS).map((b, i) => at(i) === 2 || at(i) % 3 === 0 ? 0 : b);
      expectClose(await gpu.read(y), expected, limit, "y");
    },
  };
}

function gradient(n: number, d: number): KernelCase {
  return {
    kernel: "magnitude_gradient",
    name: `[${n}, ${d}] added to what is there`,
    async run(gpu) {
      const { x: z, dy, normal } = data(n, d);
      const norm = normal(d).map((value, k) => k === 2 ? 0 : Math.abs(value));
      // A row of zeros gives products of zero.
      z.forEach((_, i) => i % d === 2 && (z[i] = 0));
      const held = normal(d);
      using tz = gpu.upload(z, [n, d]);
      using tn = gpu.upload(norm, [d]);
      using tdy = gpu.upload(dy, [n, d]);
      using into = gpu.upload(held, [d]);
      magnitudeGradient(gpu, { z: tz, norm: tn }, tdy, into);
      const twin = (x: Float32Array, y: Float32Array) => twinGradient(wide(x), wide(norm), wide(y), { n, d });
      const magnitude = twin(z.map(Math.abs), dy.map(Math.abs)).map((sum, k) => sum + Math.abs(held[k]));
      const expected = twin(z, dy).map((sum, k) => sum + held[k]);
      expectClose(await gpu.read(into), expected, bound(n + 1, magnitude, 2.5 * EPS), "dm");
    },
  };
}

/** The operation picks a layout by itself, and gives equal rows equal bits. */
const whole: KernelCase[] = [[65, 8], [3, 5]].map(([n, d]) => ({
  kernel: "magnitude_norms",
  name: `rowNorms() of [${n}, ${d}], twice`,
  async run(gpu) {
    const { x } = data(n, d);
    using tx = gpu.upload(x, [n, d]);
    using norm = rowNorms(gpu, tx);
    using again = rowNorms(gpu, tx);
    const expected = twinNorms(wide(x), { d: n, k: d });
    const found = await gpu.read(norm);
    expectClose(found, expected, bound(d / 4, expected, 2.5 * EPS), "norm");
    expectClose(await gpu.read(again), found, 0, "the same again");
  },
}));

/** Norms of rows, rows and columns scaled to a magnitude, and its gradient, against their twins. */
export const cases: KernelCase[] = [
  ...SHAPES.flatMap(([n, d]) =>
    LANES.flatMap((lanes) =>
      (d % 4 ? [1] as const : [1, 4] as const).map((width) => norms(n, d, lanes, width))
    )
  ),
  ...SHAPES.flatMap(([n, d]) => [scale(n, d, "rows"), scale(n, d, "columns"), gradient(n, d)]),
  ...whole,
];
