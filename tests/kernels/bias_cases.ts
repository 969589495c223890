import { Rng } from "../../lib/core/rng.ts";
import { bias, biasGradient } from "../../lib/ops/bias.ts";
import { bias as twin } from "../../lib/reference/bias.ts";
import { columnSum } from "../../lib/reference/column_sum.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, odd widths, workgroups of 64 elements filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 63], [1, 64], [5, 13], [65, 3], [7, 73], [33, 128], [0, 8]];

/** Bias and its gradient against their twins. */
export const cases: KernelCase[] = SHAPES.map(([n, d]) => ({
  kernel: "bias",
  name: `[${n}, ${d}]`,
  async run(gpu) {
    const rng = new Rng(n * 1000 + d, "bias");
    const x = Float32Array.from({ length: n * d }, () => rng.normal());
    const b = Float32Array.from({ length: d }, () => rng.normal());
    using tx = gpu.upload(x, [n, d]);
    using tb = gpu.upload(b, [d]);
    using y = bias(gpu, tx, tb);
    const expected = twin(Float64Array.from(x), Float64Array.from(b), { n, d });
    expectClose(await gpu.read(y), expected, bound(1, expected), "y");
    biasGradient(gpu, tx, tb);
    const sum = (values: Float32Array, held: Float32Array) =>
      columnSum(Float64Array.from(values), { n, d }).map((value, j) => value + held[j]);
    const magnitude = sum(x.map(Math.abs), b.map(Math.abs));
    expectClose(await gpu.read(tb), sum(x, b), bound(n + 1, magnitude), "db");
  },
}));
