import { Rng } from "../../lib/core/rng.ts";
import type { Phi } from "../../lib/kernels/activation.ts";
import { gate, gateBackward } from "../../lib/ops/gate.ts";
import { gate as twin, gateBackward as twinBackward } from "../../lib/reference/gate.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { NAMES, PHIS, SHAPES } from "./phis.ts";

/** A product is rounded, also where φ is exact. */
const PRODUCT = EPS / 2;

function check(
  phi: Phi,
  [n, d]: number[],
  gates: (rng: Rng, i: number) => number,
  name: string,
): KernelCase[] {
  const { relative, ofGradient, floor } = PHIS[phi];
  const rng = new Rng(n * 100 + d, `${phi} gate`);
  const g = Float32Array.from({ length: n * d }, (_, i) => gates(rng, i));
  const v = Float32Array.from({ length: n * d }, () => rng.normal());
  const dh = Float32Array.from({ length: n * d }, () => rng.normal());
  const [wg, wv, wdh] = [g, v, dh].map((x) => Float64Array.from(x));
  const limitOf = (expected: Float64Array, factor: Float32Array) =>
    expected.map((x, i) => Math.max(relative(wg[i]), PRODUCT) * Math.abs(x) + floor * Math.abs(factor[i]));
  return [{
    kernel: `gate_${phi}`,
    name,
    async run(gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using h = gate(gpu, phi, tg, tv);
      const expected = twin(phi, wg, wv);
      expectClose(await gpu.read(h), expected, limitOf(expected, v), "h");
    },
  }, {
    kernel: `gate_backward_${phi}`,
    name,
    async run(gpu) {
      using tg = gpu.upload(g, [n, d]);
      using tv = gpu.upload(v, [n, d]);
      using tdh = gpu.upload(dh, [n, d]);
      const { dg, dv } = gateBackward(gpu, phi, { g: tg, v: tv, dh: tdh });
      const expected = twinBackward(phi, wg, wv, wdh);
      const limit = wg.map((x, i) => Math.max(ofGradient(x), PRODUCT) * Math.abs(wdh[i] * wv[i]));
      expectClose(await gpu.read(dg), expected.dg, limit, "dg");
      expectClose(await gpu.read(dv), expected.du, limitOf(expected.du, dh), "dv");
      dg.dispose();
      dv.dispose();
    },
  }];
}

/** A gate by each φ and its gradient against their twins. */
export const cases: KernelCase[] = NAMES.flatMap((phi) => {
  const gates = PHIS[phi].edges.filter(Number.isFinite);
  return [
    ...SHAPES.flatMap((shape) => check(phi, shape, (rng) => 3 * rng.normal(), `[${shape.join(", ")}]`)),
    ...check(phi, [1, gates.length], (_, i) => gates[i], "edges"),
  ];
});
