import { Rng } from "../../lib/core/rng.ts";
import { columnSumSpec } from "../../lib/kernels/column_sum.ts";
import { columnSum } from "../../lib/reference/column_sum.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: no rows, columns around a workgroup of 64. */
const SHAPES = [[1, 1], [0, 5], [3, 63], [17, 64], [2, 65], [64, 129], [257, 3]];

/** Column sums, overwriting and added. */
export const cases: KernelCase[] = SHAPES.flatMap(([n, d]) =>
  [0, 1].map((accumulate) => ({
    kernel: "column_sum",
    name: `[${n}, ${d}]${accumulate ? ", added" : ""}`,
    async run(gpu) {
      const rng = new Rng(n * 1000 + d, "column sum");
      const x = Float32Array.from({ length: n * d }, () => rng.normal());
      const before = Float32Array.from({ length: d }, () => rng.normal());
      using tx = gpu.upload(x, [n, d]);
      using y = gpu.upload(before, [d]);
      gpu.run(columnSumSpec, [tx, y], { n, d, accumulate });
      const expected = columnSum(Float64Array.from(x), { n, d });
      const magnitude = columnSum(Float64Array.from(x, Math.abs), { n, d });
      if (accumulate) {
        before.forEach((value, j) => {
          expected[j] += value;
          magnitude[j] += Math.abs(value);
        });
      }
      expectClose(await gpu.read(y), expected, bound(n + accumulate, magnitude), "y");
    },
  }))
);
