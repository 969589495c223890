/** Cases of a gate h = g σ(z(g)) v and its gradient, each in its own words: how far a kernel may be off its twin. */
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 3], [1, 4], [5, 1], [1, 255], [1, 256], [257, 1], [7, 73], [0, 8], [3, 0]];

/** |h| at z = −80 is what a kernel may give for smaller gates, in place of something smaller. */
export const FLOOR = 1e4 * Math.exp(-80);

/** A gate's two kernels, their twins and their errors. */
export interface Gate {
  kernel: string;
  run(gpu: Gpu, g: Tensor, v: Tensor): Tensor;
  runBackward(gpu: Gpu, g: Tensor, v: Tensor, dh: Tensor): { dg: Tensor; dv: Tensor };
  twin(g: Float64Array, v: Float64Array): Float64Array;
  twinBackward(
    g: Float64Array,
    v: Float64Array,
    dh: Float64Array,
  ): { dg: Float64Array; du: Float64Array };
  /** Gates far beyond where σ is 0 or 1 to f32. */
  gates: readonly number[];
  /** Relative error of h and dv at a gate, beyond FLOOR. */
  relative(g: number): number;
  /** Error of dg at a gate, as a share of |dh v|. */
  ofGradient(g: number): number;
}

/** The gate and its gradient against their twins. */
export function gateCases(gate: Gate): KernelCase[] {
  const { gates } = gate;
  return [
    ...SHAPES.flatMap(([n, d]) => check(gate, n, d, (rng) => 3 * rng.normal(), `[${n}, ${d}]`)),
    ...check(gate, 1, gates.length, (_, i) => gates[i], "gates from −1e4 to 1e4"),
  ];
}

function check(
  { kernel, run, runBackward, twin, twinBackward, relative, ofGradient }: Gate,
  n: number,
  d: number,
  gates: (rng: Rng, i: number) => number,
  name: string,
): KernelCase[] {
  const rng = new Rng(n * 100 + d, kernel.replace("_", " "));
  const g = Float32Array.from({ length: n * d }, (_, i) => gates(rng, i));
  const v = Float32Array.from({ length: n * d }, () => rng.normal());
  const dh = Float32Array.from({ length: n * d }, () => rng.normal());
  const [wg, wv, wdh] = [g, v, dh].map((x) => Float64Array.from(x));
  const limitOf = (expected: Float64Array, factor: Float32Array) =>
    expected.map((x, i) => relative(wg[i]) * Math.abs(x) + FLOOR * Math.abs(factor[i]));
  return [{
    kernel,
    name,
    async run(gpu: Gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using h = run(gpu, tg, tv);
      const expected = twin(wg, wv);
      expectClose(await gpu.read(h), expected, limitOf(expected, v), "h");
    },
  }, {
    kernel: `${kernel}_backward`,
    name,
    async run(gpu: Gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using tdh = gpu.upload(dh, [n, d]);
      const { dg, dv } = runBackward(gpu, tg, tv, tdh);
      const expected = twinBackward(wg, wv, wdh);
      const limit = wg.map((x, i) => ofGradient(x) * Math.abs(dh[i] * v[i]));
      expectClose(await gpu.read(dg), expected.dg, limit, "dg");
      expectClose(await gpu.read(dv), expected.du, limitOf(expected.du, dh), "dv");
      dg.dispose();
      dv.dispose();
    },
  }];
}
