import { Rng } from "../../lib/core/rng.ts";
import { cycle, cycleBackward } from "../../lib/ops/cycle.ts";
import { cycle as twin, cycleBackward as twinBackward } from "../../lib/reference/cycle.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d, wide: shorter, as long, a part of a round more, many rounds; workgroups of 64 elements filled ±1; no rows. */
const SHAPES = [
  [1, 1, 1],
  [1, 5, 3],
  [3, 7, 7],
  [2, 7, 9],
  [5, 3, 17],
  [1, 64, 129],
  [9, 7, 63],
  [33, 12, 131],
  [65, 1, 65],
  [0, 4, 9],
];

/** Both directions against their twins: the first bit for bit. */
export const cases: KernelCase[] = SHAPES.map(([n, d, wide]) => ({
  kernel: "cycle",
  name: `[${n}, ${d}] to ${wide} columns`,
  async run(gpu) {
    const rng = new Rng(n * 1000 + d, "cycle");
    const [x, dy] = [n * d, n * wide].map((length) => Float32Array.from({ length }, () => rng.normal()));
    using tx = gpu.upload(x, [n, d]);
    using tdy = gpu.upload(dy, [n, wide]);
    using y = cycle(gpu, tx, wide);
    const dims = { n, d, wide };
    expectClose(await gpu.read(y), twin(Float64Array.from(x), dims), 0, "y");
    using dx = cycleBackward(gpu, tdy, d);
    const size = twinBackward(Float64Array.from(dy, Math.abs), dims);
    expectClose(
      await gpu.read(dx),
      twinBackward(Float64Array.from(dy), dims),
      bound(Math.ceil(wide / d), size),
      "dx",
    );
  },
}));
