import { Rng } from "../../lib/core/rng.ts";
import { addScaled, affine } from "../../lib/ops/affine.ts";
import { affine as twin } from "../../lib/reference/affine.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, none. */
const SIZES = [1, 3, 4, 5, 255, 256, 257, 511, 0];

function check(n: number, scale: number, offset: number): KernelCase {
  return {
    kernel: "affine",
    name: `[${n}], ${scale} x + ${offset}`,
    async run(gpu) {
      const rng = new Rng(n, "affine");
      const x = Float32Array.from({ length: n }, () => rng.normal());
      const held = Float32Array.from({ length: n }, () => rng.normal());
      const wide = Float64Array.from(x);
      using tx = gpu.upload(x, [n]);
      using y = affine(gpu, tx, scale, offset);
      const expected = twin(wide, scale, offset);
      const magnitude = twin(wide.map(Math.abs), Math.abs(scale), Math.abs(offset));
      expectClose(await gpu.read(y), expected, bound(2, magnitude), "y");
      using into = gpu.upload(held, [n]);
      addScaled(gpu, tx, scale, into);
      const sum = twin(wide, scale, 0).map((value, i) => value + held[i]);
      const size = wide.map((value, i) => Math.abs(scale * value) + Math.abs(held[i]));
      expectClose(await gpu.read(into), sum, bound(2, size), "into");
    },
  };
}

/** Scale and offset, and the sum with what is there, against the twin. */
export const cases: KernelCase[] = SIZES.flatMap((n) => [check(n, 1, 1), check(n, -5.5, 0.25)]);
