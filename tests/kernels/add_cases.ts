import { Rng } from "../../lib/core/rng.ts";
import { add } from "../../lib/ops/add.ts";
import { add as twin } from "../../lib/reference/add.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, vectors of 4 and workgroups of 64 vectors filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 3], [2, 2], [5, 1], [1, 255], [1, 256], [257, 1], [31, 37], [0, 8]];

/** Sums, element by element. */
export const cases: KernelCase[] = SHAPES.map(([n, d]) => ({
  kernel: "add",
  name: `[${n}, ${d}]`,
  async run(gpu) {
    const rng = new Rng(n * 1000 + d, "add");
    const [x, y] = [0, 1].map(() => Float32Array.from({ length: n * d }, () => rng.normal()));
    using tx = gpu.upload(x, [n, d]);
    using ty = gpu.upload(y, [n, d]);
    using z = add(gpu, tx, ty);
    const expected = twin(Float64Array.from(x), Float64Array.from(y));
    expectClose(await gpu.read(z), expected, bound(1, expected), "z");
  },
}));
