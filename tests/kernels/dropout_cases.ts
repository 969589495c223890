import { Rng } from "../../lib/core/rng.ts";
import { dropout } from "../../lib/ops/dropout.ts";
import { dropout as twin, dropoutMask } from "../../lib/reference/dropout.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Elements: around workgroups of 64, a prime. */
const SIZES = [0, 1, 63, 64, 65, 1031];

/** Shares dropped: none, few, half, all but 2⁻³³. */
const SHARES = [0, 0.05, 0.5, 0.999, 1 - 2 ** -33];

/** The mask is the twin's bit by bit, for keys of any bits; the kept values are scaled. */
export const cases: KernelCase[] = SIZES.flatMap((n) =>
  SHARES.flatMap((p) =>
    ([[0, 0], [7, 0xffffffff], [0xdeadbeef, 0x80000001]] as const).map((key) => ({
      kernel: "dropout",
      name: `${n} elements, p ${p}, key ${key.map((word) => word.toString(16))}`,
      async run(gpu) {
        const rng = new Rng(n, "dropout");
        const x = Float32Array.from({ length: n }, () => rng.normal() || 1);
        using tx = gpu.upload(x, [n]);
        using y = dropout(gpu, tx, p, key);
        const actual = await gpu.read(y);
        const mask = dropoutMask(n, p, key);
        expectClose(
          actual.map((value) => Number(value !== 0)),
          mask.map((value) => Number(value !== 0)),
          0,
          "mask",
        );
        const expected = twin(Float64Array.from(x), p, key);
        expectClose(actual, expected, bound(1, expected), "y");
      },
    }))
  )
);
