import { Rng } from "../../lib/core/rng.ts";
import { gelu, geluBackward } from "../../lib/ops/gelu.ts";
import { gelu as twin, geluBackward as twinBackward } from "../../lib/reference/gelu.ts";
import { EPS, EXP_GRANT, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 3], [1, 4], [5, 1], [1, 255], [1, 256], [257, 1], [7, 73], [0, 8], [3, 0]];

/** Values far beyond where σ is 0 or 1 to f32. */
const VALUES = [-1e4, -200, -100, -20, -9.5, -9, -4, -1, -1e-6, 0, 1e-6, 1, 4, 9, 9.5, 20, 100, 1e4];

/** What z is in the kernel, and its slope. */
const arc = (x: number) => Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
const slope = (x: number) => Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * x * x);
const sigma = (x: number) => 1 / (1 + Math.exp(-x));
/** |y| at −80 is what the kernel may give for smaller values, in place of something smaller. */
const FLOOR = 1e4 * Math.exp(-80);
const GRANT = 3 * EPS + EXP_GRANT;

function check([n, d]: number[], value: (rng: Rng, i: number) => number, name: string): KernelCase[] {
  const rng = new Rng(n * 100 + d, "gelu");
  const x = Float32Array.from({ length: n * d }, (_, i) => value(rng, i));
  const dy = Float32Array.from({ length: n * d }, () => rng.normal());
  const [wx, wdy] = [x, dy].map((values) => Float64Array.from(values));
  return [{
    kernel: "gelu",
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using y = gelu(gpu, tx);
      const expected = twin(wx);
      const limit = wx.map((value, i) =>
        (GRANT + 5 * EPS * Math.min(80, Math.abs(arc(value))) * sigma(-arc(value))) * Math.abs(expected[i]) +
        FLOOR
      );
      expectClose(await gpu.read(y), expected, limit, "y");
    },
  }, {
    kernel: "gelu_backward",
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using tdy = gpu.upload(dy, [n, d]);
      using dx = geluBackward(gpu, tx, tdy);
      // Two factors hold the exponential: σ, and 1 − σ inside the parenthesis.
      const limit = wx.map((value, i) =>
        2 * (GRANT + 5 * EPS * (1 + Math.min(80, Math.abs(arc(value))))) * Math.abs(dy[i]) *
          sigma(arc(value)) * (1 + Math.abs(value) * slope(value) * sigma(-arc(value))) +
        FLOOR * (1 + slope(value)) * Math.abs(dy[i])
      );
      expectClose(await gpu.read(dx), twinBackward(wx, wdy), limit, "dx");
    },
  }];
}

/** gelu and its gradient against their twins. */
export const cases: KernelCase[] = [
  ...SHAPES.flatMap((shape) => check(shape, (rng) => 3 * rng.normal(), `[${shape.join(", ")}]`)),
  ...check([1, VALUES.length], (_, i) => VALUES[i], "values from −1e4 to 1e4"),
];
