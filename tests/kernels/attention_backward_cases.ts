import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attentionBackward } from "../../lib/ops/attention.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { attentionBackwardTwin, onEachVariant } from "./attention_bounds.ts";

/** b, t, h, hk, c, and a window where there is one: the sizes of attention_cases.ts. */
const SHAPES = [
  [1, 1, 1, 1, 2],
  [1, 1, 1, 1, 8],
  [2, 7, 3, 1, 6],
  [2, 8, 2, 2, 8],
  [1, 9, 4, 2, 8],
  [1, 31, 2, 1, 16],
  [3, 32, 1, 1, 8],
  [1, 33, 1, 1, 12],
  [1, 127, 1, 1, 8],
  [1, 129, 1, 1, 8],
  [1, 13, 6, 3, 32],
  [1, 17, 3, 1, 64],
  [1, 5, 2, 1, 128],
  [0, 5, 2, 1, 8],
  [2, 0, 2, 1, 8],
  [1, 9, 2, 1, 8, 1],
  [2, 33, 3, 1, 6, 7],
  [1, 40, 2, 2, 8, 8],
  [1, 129, 1, 1, 8, 9],
  [1, 13, 6, 3, 32, 100],
];

/** The gradients of attention against their twin. */
export const cases: KernelCase[] = SHAPES.flatMap(([b, t, h, hk, c, window]) =>
  [1, 10].map((spread) => ({
    kernel: "attention_backward",
    name: `b ${b}, t ${t}, h ${h}, hk ${hk}, c ${c}${window ? `, window ${window}` : ""}, spread ${spread}`,
    async run(gpu: Gpu) {
      const rng = new Rng(11, "attention backward");
      const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
      const host = {
        q: normal(b * t * h * c).map((x) => spread * x),
        k: normal(b * t * hk * c),
        v: normal(b * t * hk * c),
        dOut: normal(b * t * h * c),
      };
      const exact = attentionBackwardTwin(host, { b, t, h, hk, c, ...(window && { window }) });
      using q = gpu.upload(host.q, [b, t, h, c]);
      using k = gpu.upload(host.k, [b, t, hk, c]);
      using v = gpu.upload(host.v, [b, t, hk, c]);
      using dOut = gpu.upload(host.dOut, [b, t, h, c]);
      using out = gpu.upload(Float32Array.from(exact.forward.out), [b, t, h, c]);
      using logSumExp = gpu.upload(Float32Array.from(exact.forward.logSumExp), [b, h, t]);
      await onEachVariant(gpu, async (variant) => {
        const { dq, dk, dv } = attentionBackward(gpu, {
          ...{ q, k, v, out, logSumExp, dOut },
          ...(window && { window }),
        });
        try {
          expectClose(await gpu.read(dq), exact.dq, exact.bounds.dq, `dq, ${variant}`);
          expectClose(await gpu.read(dk), exact.dk, exact.bounds.dk, `dk, ${variant}`);
          expectClose(await gpu.read(dv), exact.dv, exact.bounds.dv, `dv, ${variant}`);
        } finally {
          [dq, dk, dv].forEach((made) => made.dispose());
        }
      });
    },
  }))
);
