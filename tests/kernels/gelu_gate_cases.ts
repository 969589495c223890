import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { geluGate, geluGateBackward } from "../../lib/ops/gelu_gate.ts";
import { geluGate as twin, geluGateBackward as twinBackward } from "../../lib/reference/gelu_gate.ts";
import { EPS, EXP_GRANT, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 3], [1, 4], [5, 1], [1, 255], [1, 256], [257, 1], [7, 73], [0, 8], [3, 0]];

/** Gates far beyond where σ is 0 or 1 to f32. */
const GATES = [-1e4, -200, -100, -20, -9.5, -9, -4, -1, -1e-6, 0, 1e-6, 1, 4, 9, 9.5, 20, 100, 1e4];

/** What z is in the kernel, and its slope. */
const arc = (x: number) => Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
const slope = (x: number) => Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * x * x);
const sigma = (x: number) => 1 / (1 + Math.exp(-x));
/** Rounding of z: beyond the grant, what it makes of σ. */
const rounding = (x: number) => 5 * EPS * Math.min(80, Math.abs(arc(x))) * sigma(-arc(x));

/** |h| at −80 is what the kernel may give for smaller gates, in place of something smaller. */
const FLOOR = 1e4 * Math.exp(-80);

function check(n: number, d: number, gates: (rng: Rng, i: number) => number, name: string): KernelCase[] {
  const rng = new Rng(n * 100 + d, "gelu gate");
  const g = Float32Array.from({ length: n * d }, (_, i) => gates(rng, i));
  const v = Float32Array.from({ length: n * d }, () => rng.normal());
  const dh = Float32Array.from({ length: n * d }, () => rng.normal());
  const [wg, wv, wdh] = [g, v, dh].map((x) => Float64Array.from(x));
  const grant = 3 * EPS + EXP_GRANT;
  return [{
    kernel: "gelu_gate",
    name,
    async run(gpu: Gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using h = geluGate(gpu, tg, tv);
      const expected = twin(wg, wv);
      const limit = expected.map((x, i) => (grant + rounding(wg[i])) * Math.abs(x) + FLOOR * Math.abs(v[i]));
      expectClose(await gpu.read(h), expected, limit, "h");
    },
  }, {
    kernel: "gelu_gate_backward",
    name,
    async run(gpu: Gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using tdh = gpu.upload(dh, [n, d]);
      const { dg, dv } = geluGateBackward(gpu, tg, tv, tdh);
      const expected = twinBackward(wg, wv, wdh);
      // Two factors hold the exponential: σ, and 1 − σ inside the parenthesis.
      const limit = wg.map((x, i) =>
        2 * (grant + 5 * EPS * (1 + Math.min(80, Math.abs(arc(x))))) * Math.abs(dh[i] * v[i]) *
          sigma(arc(x)) *
          (1 + Math.abs(x) * slope(x) * sigma(-arc(x))) + FLOOR * (1 + slope(x)) * Math.abs(dh[i] * v[i])
      );
      expectClose(await gpu.read(dg), expected.dg, limit, "dg");
      const dvLimit = expected.du.map((x, i) =>
        (grant + rounding(wg[i])) * Math.abs(x) + FLOOR * Math.abs(dh[i])
      );
      expectClose(await gpu.read(dv), expected.du, dvLimit, "dv");
      dg.dispose();
      dv.dispose();
    },
  }];
}

/** The gate and its gradient against their twins. */
export const cases: KernelCase[] = [
  ...SHAPES.flatMap(([n, d]) => check(n, d, (rng) => 3 * rng.normal(), `[${n}, ${d}]`)),
  ...check(1, GATES.length, (_, i) => GATES[i], "gates from −1e4 to 1e4"),
];
