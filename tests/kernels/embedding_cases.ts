import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { embedding } from "../../lib/ops/embedding.ts";
import { embedding as twin } from "../../lib/reference/embedding.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d, v: rows that begin in the middle of a word of halves or of a vector, workgroups of 256 elements filled, ±1. */
const SHAPES = [
  [1, 1, 1],
  [3, 1, 2],
  [7, 3, 5],
  [9, 7, 8],
  [16, 4, 11],
  [13, 5, 17],
  [63, 4, 19],
  [64, 4, 19],
  [65, 4, 19],
  [51, 5, 17],
  [257, 1, 17],
  [3, 12, 7],
  [31, 64, 97],
  [0, 8, 4],
  [5, 0, 4],
];

/** The gather against its twin, bit for bit. */
export const cases: KernelCase[] = SHAPES.flatMap(([n, d, v]) =>
  (["f32", "f16", "bf16"] as const).map((dtype) => ({
    kernel: "embedding",
    name: `n ${n}, d ${d}, v ${v} of ${dtype}`,
    async run(gpu: Gpu) {
      const rng = new Rng(2, "embedding");
      const host = hostTensor([v, d], Float32Array.from({ length: v * d }, () => rng.normal()), dtype);
      const tokens = Uint32Array.from({ length: n }, () => rng.below(v));
      using table = gpu.uploadHost(host);
      using ids = gpu.upload(tokens, [n]);
      using x = embedding(gpu, ids, table);
      const expected = twin(Float64Array.from(toFloat32(host)), Int32Array.from(tokens), { n, d, v });
      expectClose(await gpu.read(x), expected, 0, "x");
    },
  }))
).concat([{
  kernel: "embedding",
  name: "an id past the table gives NaN",
  async run(gpu: Gpu) {
    using ids = gpu.upload(Uint32Array.of(1, 2, 0xffffffff), [3]);
    for (const d of [2, 4]) {
      using table = gpu.upload(Float32Array.from({ length: 2 * d }, (_, i) => i), [2, d]);
      using x = embedding(gpu, ids, table);
      const expected = Float64Array.from({ length: 3 * d }, (_, i) => i < d ? d + i : NaN);
      expectClose(await gpu.read(x), expected, 0, "x");
    }
  },
}]);
