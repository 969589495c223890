import { blockDTypes, blockSize } from "../../lib/core/dtype.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { dequantize } from "../../lib/ops/dequantize.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { embedding } from "../../lib/ops/embedding.ts";
import { dequantize as twin } from "../../lib/reference/dequantize.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** Rows, and blocks in each: odd numbers of blocks end in the middle of a word where a block has 18, 22, 34 or 210 bytes. */
const SHAPES = [[1, 1], [3, 1], [1, 3], [5, 3], [7, 9], [33, 2], [0, 1]];

const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Blocks against the twin, bit for bit; and the weight and the rows of a table that are read from them. */
export const cases: KernelCase[] = blockDTypes.flatMap((dtype) =>
  SHAPES.map(([rows, blocks]) => ({
    kernel: "dequantize",
    name: `[${rows}, ${blocks * blockSize(dtype)}] ${dtype}`,
    async run(gpu: Gpu) {
      const host = randomBlocks(
        new Rng(rows, `dequantize ${dtype}`),
        [rows, blocks * blockSize(dtype)],
        dtype,
      );
      using w = gpu.uploadHost(host);
      using y = dequantize(gpu, w);
      const expected = bitsOf(twin(dtype, host.bytes));
      expectClose(bitsOf(await gpu.read(y)), expected, 0, "bits of y");
      using weight = effectiveWeight(gpu, w);
      expectClose(bitsOf(await gpu.read(weight)), expected, 0, "bits of the weight");
      const order = Uint32Array.from({ length: rows }, (_, i) => (i * 5 + 2) % rows);
      using ids = gpu.upload(order, [rows]);
      using x = embedding(gpu, ids, w);
      const width = blocks * blockSize(dtype);
      const gathered = [...order].flatMap((id) => [...expected.subarray(id * width, (id + 1) * width)]);
      expectClose(bitsOf(await gpu.read(x)), Uint32Array.from(gathered), 0, "bits of the rows");
    },
  }))
).concat(blockDTypes.map((dtype) => ({
  kernel: "dequantize",
  name: `a weight of ${dtype} with factors is that of its f32 numbers with them`,
  async run(gpu: Gpu) {
    const rng = new Rng(4, `weight ${dtype}`);
    const [out, width, r] = [5, 2 * blockSize(dtype), 3];
    const host = randomBlocks(rng, [out, width], dtype);
    using w = gpu.uploadHost(host);
    using wide = gpu.upload(twin(dtype, host.bytes), [out, width]);
    const factors = () => ({
      a: gpu.upload(Float32Array.from({ length: r * width }, () => rng.normal()), [r, width]),
      b: gpu.upload(Float32Array.from({ length: out * r }, () => rng.normal()), [out, r]),
    });
    const [trained, start] = [factors(), factors()];
    for (const lowRank of [{ scale: 0.7, trained }, { scale: 0.7, trained, start }, { scale: 0.7, start }]) {
      using y = effectiveWeight(gpu, w, lowRank);
      using expected = effectiveWeight(gpu, wide, lowRank);
      expectClose(bitsOf(await gpu.read(y)), bitsOf(await gpu.read(expected)), 0, "bits of y");
    }
    for (const { a, b } of [trained, start]) for (const factor of [a, b]) factor.dispose();
  },
})));
