import { Rng } from "../../lib/core/rng.ts";
import type { Phi } from "../../lib/kernels/activation.ts";
import { activate, activateBackward } from "../../lib/ops/activation.ts";
import { activate as twin, activateBackward as twinBackward } from "../../lib/reference/activation.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { NAMES, PHIS, SHAPES } from "./phis.ts";

function check(
  phi: Phi,
  [n, d]: number[],
  value: (rng: Rng, i: number) => number,
  name: string,
): KernelCase[] {
  const { relative, ofGradient, floor } = PHIS[phi];
  const rng = new Rng(n * 100 + d, phi);
  const x = Float32Array.from({ length: n * d }, (_, i) => value(rng, i));
  const dy = Float32Array.from({ length: n * d }, () => rng.normal());
  const [wx, wdy] = [x, dy].map((values) => Float64Array.from(values));
  return [{
    kernel: `activation_${phi}`,
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using y = activate(gpu, phi, tx);
      const expected = twin(phi, wx);
      const limit = wx.map((x, i) => relative(x) && relative(x) * Math.abs(expected[i]) + floor);
      expectClose(await gpu.read(y), expected, limit, "y");
    },
  }, {
    kernel: `activation_backward_${phi}`,
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using tdy = gpu.upload(dy, [n, d]);
      using dx = activateBackward(gpu, phi, tx, tdy);
      const limit = wx.map((x, i) => ofGradient(x) * Math.abs(dy[i]));
      expectClose(await gpu.read(dx), twinBackward(phi, wx, wdy), limit, "dx");
    },
  }];
}

/** Each φ and its gradient against their twins. */
export const cases: KernelCase[] = NAMES.flatMap((phi) => [
  ...SHAPES.flatMap((shape) => check(phi, shape, (rng) => 3 * rng.normal(), `[${shape.join(", ")}]`)),
  ...check(phi, [1, PHIS[phi].edges.length], (_, i) => PHIS[phi].edges[i], "edges"),
]);
