import { blockDTypes, blockSize, type DType } from "../../lib/core/dtype.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { matvec } from "../../lib/ops/matvec.ts";
import { matvec as twin } from "../../lib/reference/matvec.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** out and in: around workgroups of 4 and 8 rows and rounds of 32 and 128 columns; lengths that another kernel does. */
const SHAPES = [
  [1, 4],
  [3, 28],
  [4, 32],
  [8, 36],
  [9, 128],
  [17, 132],
  [65, 64],
  [5, 7],
  [2, 1],
  [0, 4],
  [3, 0],
];

/** Rows and blocks in each: odd numbers of blocks end in the middle of a word where a block has 18, 22, 34 or 210 bytes. */
const BLOCKS = [[1, 1], [3, 3], [8, 1], [17, 5]];

/** Every form of W against the twin, plain and added to what was there. */
export const cases: KernelCase[] = [
  ...(["f32", "f16", "bf16"] as const).flatMap((dtype) =>
    SHAPES.map(([out, width]) =>
      caseOf(dtype, out, width, (rng) => {
        const values = Float32Array.from({ length: out * width }, () => rng.normal());
        return hostTensor([out, width], values, dtype);
      })
    )
  ),
  ...blockDTypes.flatMap((dtype) =>
    BLOCKS.map(([out, blocks]) => {
      const width = blocks * blockSize(dtype);
      return caseOf(dtype, out, width, (rng) => randomBlocks(rng, [out, width], dtype));
    })
  ),
];

function caseOf(dtype: DType, out: number, width: number, weight: (rng: Rng) => HostTensor): KernelCase {
  return {
    kernel: "matvec",
    name: `[${out}, ${width}] ${dtype}`,
    async run(gpu: Gpu) {
      const rng = new Rng(out * 1000 + width, `matvec ${dtype}`);
      const host = weight(rng);
      const values = Float32Array.from({ length: width }, () => rng.normal());
      const before = Float32Array.from({ length: out }, () => rng.normal());
      using w = gpu.uploadHost(host);
      using x = gpu.upload(values, [1, width]);
      using y = matvec(gpu, x, w);
      const [wide, row] = [Float64Array.from(toFloat32(host)), Float64Array.from(values)];
      const dims = { out, in: width };
      const exact = twin(wide, row, dims);
      const size = twin(wide.map(Math.abs), row.map(Math.abs), dims);
      expectClose(await gpu.read(y), exact, bound(width, size), "y");
      using into = gpu.upload(before, [1, out]);
      matvec(gpu, x, w, { into, accumulate: true, scale: -0.75 });
      const sums = exact.map((value, i) => before[i] - 0.75 * value);
      const sizes = size.map((value, i) => Math.abs(before[i]) + 0.75 * value);
      expectClose(await gpu.read(into), sums, bound(width + 1, sizes), "y + scale W x");
    },
  };
}
