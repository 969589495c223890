import { Rng } from "../../lib/core/rng.ts";
import { relu, reluBackward } from "../../lib/ops/relu.ts";
import { relu as twin, reluBackward as twinBackward } from "../../lib/reference/relu.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d: one element, vectors of 4 filled ±1, workgroups of 64 vectors filled ±1, no rows. */
const SHAPES = [[1, 1], [1, 3], [1, 4], [5, 1], [1, 255], [1, 256], [257, 1], [7, 73], [0, 8], [3, 0]];

/** What is 0, next to it, or beyond every number. */
const EDGES = [-Infinity, -1e30, -1, -0, 0, 1, 1e30, Infinity, NaN];

function check([n, d]: number[], x: Float32Array<ArrayBuffer>, name: string): KernelCase[] {
  const rng = new Rng(n * 100 + d, "relu slopes");
  const dy = Float32Array.from({ length: n * d }, () => rng.normal());
  return [{
    kernel: "relu",
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using y = relu(gpu, tx);
      expectClose(await gpu.read(y), twin(Float64Array.from(x)), 0, "y");
    },
  }, {
    kernel: "relu_backward",
    name,
    async run(gpu) {
      using tx = gpu.upload(x, [n, d]);
      using tdy = gpu.upload(dy, [n, d]);
      using dx = reluBackward(gpu, tx, tdy);
      expectClose(await gpu.read(dx), twinBackward(Float64Array.from(x), Float64Array.from(dy)), 0, "dx");
    },
  }];
}

/** relu and its gradient against their twins, bit for bit. */
export const cases: KernelCase[] = [
  ...SHAPES.flatMap(([n, d]) => {
    const rng = new Rng(n * 100 + d, "relu");
    return check([n, d], Float32Array.from({ length: n * d }, () => rng.normal()), `[${n}, ${d}]`);
  }),
  ...check([1, EDGES.length], Float32Array.from(EDGES), "edges"),
];
