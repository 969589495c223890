import { Rng } from "../../lib/core/rng.ts";
import { adamw } from "../../lib/ops/adamw.ts";
import { adamw as twin, clipFactor } from "../../lib/reference/adamw.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Elements: vectors of 4 and workgroups of 64 vectors filled ±1. */
const SIZES = [0, 1, 3, 4, 5, 255, 256, 257, 1031];

const SETTINGS = [
  { step: 1, learningRate: 1e-3 },
  { step: 7, learningRate: 3e-2, weightDecay: 0.1, clip: 0.5 },
  { step: 2000, learningRate: 1e-4, weightDecay: 0.01, clip: 100, beta1: 0.8, beta2: 0.95, eps: 1e-6 },
  { step: 1, learningRate: 0, clip: 1e-3 },
];

/** One update against PyTorch's formula in float64; several in a row: `tests/optim`. */
export const cases: KernelCase[] = SIZES.flatMap((n) =>
  SETTINGS.map((settings) => ({
    kernel: "adamw",
    name: `${n} parameters, ${JSON.stringify(settings)}`,
    async run(gpu) {
      const rng = new Rng(n, "adamw");
      const normal = () => Float32Array.from({ length: n }, () => rng.normal());
      const [gradient, parameters, m] = [normal(), normal(), normal()];
      const v = normal().map((x) => x * x);
      if (n > 3) [gradient[0], m[0], v[0], gradient[1], v[1]] = [0, 0, 0, 1e-4, 1e-10];
      const norm = Math.fround(Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0)));
      using tg = gpu.upload(gradient, [n]);
      using tp = gpu.upload(parameters, [n]);
      using tm = gpu.upload(m, [n]);
      using tv = gpu.upload(v, [n]);
      using norms = gpu.upload(new Float32Array([9, norm]), [2]);
      adamw(gpu, { gradient: tg, parameters: tp, m: tm, v: tv, norm: norms }, { ...settings, at: 1 });

      const wide = (x: Float32Array) => Float64Array.from(x);
      const { clip = 0, beta1 = 0.9, beta2 = 0.999, step, learningRate } = settings;
      const clipped = wide(gradient).map((g) => g * clipFactor(norm, clip));
      const expected = twin({ parameters: wide(parameters), m: wide(m), v: wide(v) }, clipped, settings);
      const mean = clipped.map((g, i) => beta1 * Math.abs(m[i]) + (1 - beta1) * Math.abs(g));
      const square = clipped.map((g, i) => beta2 * v[i] + (1 - beta2) * g * g);
      // Clipping costs an addition, a division of 2.5 EPS and a product.
      const grant = 4 * EPS;
      expectClose(await gpu.read(tm), expected.m, bound(9, mean, grant), "m");
      expectClose(await gpu.read(tv), expected.v, bound(9, square, 2 * grant), "v");
      const eps = settings.eps ?? 1e-8;
      const change = mean.map((m, i) =>
        learningRate * m / (1 - beta1 ** step) / (Math.sqrt(square[i] / (1 - beta2 ** step)) + eps)
      );
      const limit = change.map((c, i) =>
        EPS * Math.abs(parameters[i]) + (12 * EPS + 2 * grant) * c + 2 ** -126
      );
      expectClose(await gpu.read(tp), expected.parameters, limit, "parameters");
      expectClose(await gpu.read(tg), new Float32Array(n), 0, "gradient");
    },
  }))
);
