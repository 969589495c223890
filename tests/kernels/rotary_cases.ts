import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { rotary, rotaryTable } from "../../lib/ops/rotary.ts";
import { rotary as twin, rotaryBackward, rotaryTables } from "../../lib/reference/rotary.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** b, t, h, c, start: half heads that fill vectors (8, 16, 64) and that do not; workgroups of 64 pairs filled, ±1. */
const SHAPES = [
  [1, 1, 1, 2, 0],
  [1, 1, 1, 8, 0],
  [2, 7, 3, 6, 5],
  [1, 63, 1, 2, 0],
  [1, 64, 1, 2, 0],
  [1, 65, 1, 2, 1],
  [1, 63, 1, 8, 0],
  [1, 64, 1, 8, 0],
  [13, 5, 1, 8, 0],
  [2, 17, 5, 16, 3],
  [1, 3, 2, 64, 1000],
  [0, 4, 2, 8, 0],
  [2, 0, 2, 8, 0],
];

/** Rotary embedding against its twin. */
export const cases: KernelCase[] = SHAPES.flatMap(([b, t, h, c, start]) =>
  [false, true].map((inverse) => ({
    kernel: "rotary",
    name: `b ${b}, t ${t}, h ${h}, c ${c}, from ${start}${inverse ? ", inverse" : ""}`,
    async run(gpu: Gpu) {
      const rng = new Rng(1, "rotary");
      const data = Float32Array.from({ length: b * t * h * c }, () => rng.normal());
      const base = 1e4;
      using x = gpu.upload(data, [b, t, h, c]);
      using table = gpu.upload(rotaryTable(start + t, c, base), [start + t, c]);
      using y = rotary(gpu, x, table, { start, inverse });
      const dims = { b, t, h, c };
      const exact = rotaryTables({ t, c }, base, start);
      const expected = (inverse ? rotaryBackward : twin)(Float64Array.from(data), dims, exact);
      // Σ|terms| is the same rotation of absolute values, in the direction that only adds.
      const sizes = { cos: exact.cos.map(Math.abs), sin: exact.sin.map(Math.abs) };
      const adding = twin(Float64Array.from(data, Math.abs), dims, sizes);
      const other = rotaryBackward(Float64Array.from(data, Math.abs), dims, sizes);
      const magnitude = adding.map((a, i) => Math.max(a, other[i]));
      expectClose(await gpu.read(y), expected, bound(2, magnitude, EPS / 2), "y");
    },
  }))
);
