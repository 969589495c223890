import { Rng } from "../../lib/core/rng.ts";
import { importance } from "../../lib/ops/importance.ts";
import { importance as twin } from "../../lib/reference/importance.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Elements: vectors of 4 and workgroups of 64 vectors filled ±1. */
const SIZES = [0, 1, 3, 4, 5, 255, 256, 257, 1031];

/** One step of both averages, from the first one and from the midst. */
export const cases: KernelCase[] = SIZES.flatMap((n) =>
  [0, 0.85, 0.999].map((beta) => ({
    kernel: "importance",
    name: `${n} parameters, β ${beta}`,
    async run(gpu) {
      const rng = new Rng(n, "importance");
      const normal = () => Float32Array.from({ length: n }, () => rng.normal());
      const [parameters, gradient] = [normal(), normal()];
      const [mean, uncertainty] = [normal(), normal()].map((values) => values.map(Math.abs));
      if (n > 3) [parameters[0], gradient[1], mean[2], uncertainty[2]] = [0, 0, 0, 0];
      const wide = (values: Float32Array) => Float64Array.from(values);
      const before = { mean: wide(mean), uncertainty: wide(uncertainty) };
      const expected = twin(wide(parameters), wide(gradient), before, beta);
      using tp = gpu.upload(parameters, [n]);
      using tg = gpu.upload(gradient, [n]);
      using tm = gpu.upload(mean, [n]);
      using tu = gpu.upload(uncertainty, [n]);
      importance(gpu, { parameters: tp, gradient: tg, mean: tm, uncertainty: tu }, beta);
      const now = wide(parameters).map((value, i) => Math.abs(value * gradient[i]));
      const strays = now.map((value, i) =>
        beta * before.uncertainty[i] + (1 - beta) * (value + expected.mean[i])
      );
      expectClose(await gpu.read(tm), expected.mean, bound(9, expected.mean), "mean");
      expectClose(await gpu.read(tu), expected.uncertainty, bound(16, strays), "uncertainty");
    },
  }))
);
