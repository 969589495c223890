import { Rng } from "../../lib/core/rng.ts";
import { normInto, sumInto } from "../../lib/ops/sum.ts";
import { globalNorm } from "../../lib/reference/adamw.ts";
import { sum } from "../../lib/reference/sum.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Elements: 0, 1, around 64 lanes, around one stretch of 16,384 and two. */
const SIZES = [0, 1, 2, 63, 64, 65, 257, 16383, 16384, 16385, 32768, 32769, 50021];

/** Sums and norms into one element of three. */
export const cases: KernelCase[] = SIZES.map((n) => ({
  kernel: "sum",
  name: `${n} elements: sum, scaled and added, norm`,
  async run(gpu) {
    const rng = new Rng(n, "sum");
    const x = Float32Array.from({ length: n }, () => rng.normal());
    const wide = Float64Array.from(x);
    const magnitude = sum(wide.map(Math.abs));
    using tx = gpu.upload(x, [n]);
    using y = gpu.upload(new Float32Array([5, 6, 7]), [3]);
    sumInto(gpu, tx, y, { at: 1 });
    let [first, middle, last] = await gpu.read(y);
    expectClose([first, last], [5, 7], 0, "neighbours");
    expectClose([middle], [sum(wide)], bound(n, [magnitude]), "sum");

    sumInto(gpu, tx, y, { at: 2, scale: 0.3, accumulate: true });
    [first, middle, last] = await gpu.read(y);
    expectClose([last], [0.3 * sum(wide) + 7], bound(n + 1, [0.3 * magnitude + 7], 2 * EPS), "scaled");

    normInto(gpu, tx, y, { at: 0 });
    [first, middle, last] = await gpu.read(y);
    const norm = globalNorm([wide]);
    expectClose([first], [norm], bound(n, [norm], 2.5 * EPS), "norm");
  },
}));
