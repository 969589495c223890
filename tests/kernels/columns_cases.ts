import { Rng } from "../../lib/core/rng.ts";
import { joinColumns, splitColumns } from "../../lib/ops/columns.ts";
import { joinColumns as twinJoin, splitColumns as twinSplit } from "../../lib/reference/columns.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d, parts: one element, odd widths, workgroups of 64 elements filled ±1, one part, no rows. */
const SHAPES = [[1, 1, 3], [1, 63, 2], [1, 64, 3], [5, 13, 3], [65, 3, 3], [7, 73, 1], [33, 128, 3], [
  0,
  8,
  3,
]];

/** Cutting columns apart and putting them side by side against their twins, bit for bit. */
export const cases: KernelCase[] = SHAPES.map(([n, d, parts]) => ({
  kernel: "columns",
  name: `${parts} of [${n}, ${d}]`,
  async run(gpu) {
    const rng = new Rng(n * 1000 + d, "columns");
    const x = Float32Array.from({ length: n * d * parts }, () => rng.normal());
    const wide = Float64Array.from(x);
    using tx = gpu.upload(x, [n, parts * d]);
    const cut = splitColumns(gpu, tx, parts);
    const expected = twinSplit(wide, { n, d, parts });
    for (const [i, part] of cut.entries()) expectClose(await gpu.read(part), expected[i], 0, `part ${i}`);
    using whole = joinColumns(gpu, cut);
    expectClose(await gpu.read(whole), wide, 0, "side by side again");
    using without = joinColumns(gpu, [undefined, ...cut.slice(1), cut[0]]);
    const zero = new Float64Array(n * d);
    const shifted = twinJoin([zero, ...expected.slice(1), expected[0]], { n, d });
    expectClose(await gpu.read(without), shifted, 0, "one part absent");
    cut.forEach((part) => part.dispose());
  },
}));
