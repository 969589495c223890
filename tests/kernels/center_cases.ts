import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { centerSpec } from "../../lib/kernels/center.ts";
import { center } from "../../lib/ops/center.ts";
import { center as twin } from "../../lib/reference/center.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: rows around a workgroup of 64 and of one row, widths that fill vectors and lanes and that do not. */
const SHAPES = [[1, 1], [1, 4], [2, 7], [63, 3], [64, 64], [65, 63], [5, 252], [2, 256], [7, 257], [0, 8]];

const LANES = [1, 8, 64];

/** Rows with a mean of `offset` beside deviates of order 1. */
function check(
  [n, d]: number[],
  offset: number,
  name: string,
  run: (gpu: Gpu, x: Float32Array<ArrayBuffer>) => Promise<Float32Array>,
): KernelCase {
  return {
    kernel: "center",
    name: `[${n}, ${d}], ${name}`,
    async run(gpu) {
      const rng = new Rng(n * 1000 + d, "center");
      const x = Float32Array.from({ length: n * d }, () => offset + rng.normal());
      const wide = Float64Array.from(x);
      const expected = twin(wide, { n, d });
      const magnitude = wide.map((_, i) => {
        const row = wide.subarray(Math.floor(i / d) * d, (Math.floor(i / d) + 1) * d);
        return row.reduce((sum, value) => sum + Math.abs(value), 0) / d;
      });
      const ofMean = bound(d, magnitude, 2.5 * EPS);
      const limit = ofMean.map((error, i) => error + EPS / 2 * (Math.abs(expected[i]) + error));
      expectClose(await run(gpu, x), expected, limit, "y");
    },
  };
}

/** Centering against its twin, by each layout. */
export const cases: KernelCase[] = [
  ...SHAPES.map((shape) =>
    check(shape, 0, "as the device has it", async (gpu, x) => {
      using tx = gpu.upload(x, shape);
      using y = center(gpu, tx);
      return await gpu.read(y);
    })
  ),
  ...SHAPES.flatMap(([n, d]) =>
    LANES.flatMap((lanes) =>
      (d % 4 ? [1] as const : [1, 4] as const).map((width) =>
        check([n, d], 30, `${lanes} lanes, width ${width}, far from 0`, async (gpu, x) => {
          using tx = gpu.upload(x, [n, d]);
          using y = gpu.tensor([n, d]);
          gpu.run(centerSpec({ lanes, width }), [tx, y], { n, d });
          return await gpu.read(y);
        })
      )
    )
  ),
];
