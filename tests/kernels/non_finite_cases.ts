import { nonFiniteSpec } from "../../lib/kernels/non_finite.ts";
import { nonFinite } from "../../lib/reference/non_finite.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Elements: vectors of 4 and workgroups of 64 vectors filled ±1. */
const SIZES = [1, 3, 4, 5, 255, 256, 257, 1031];

const VALUES = {
  NaN,
  Infinity,
  "−Infinity": -Infinity,
  "the largest f32": 3.4028234663852886e38,
  "1e-40": 1e-40,
};

/** Flags of an array without and with one odd value at its end, whose vector may hold more behind it. */
export const cases: KernelCase[] = SIZES.flatMap((n) =>
  Object.entries(VALUES).map(([name, value]) => ({
    kernel: "non_finite",
    name: `${n} elements, ${name} at the end and one behind`,
    async run(gpu) {
      const x = Float32Array.from({ length: n + 1 }, (_, i) => i < n - 1 ? i : value);
      using tx = gpu.upload(x, [n + 1]);
      using flags = gpu.upload(new Uint32Array([0, 0, 0]), [3]);
      gpu.run(nonFiniteSpec, [tx, flags], { n, at: 1 });
      // What lies behind element n − 1 must not count.
      gpu.run(nonFiniteSpec, [tx, flags], { n: n - 1, at: 2 });
      const expected = [0, Number(nonFinite(x.subarray(0, n))), Number(nonFinite(x.subarray(0, n - 1)))];
      expectClose(await gpu.read(flags), expected, 0, "flags");
    },
  }))
);
