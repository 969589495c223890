import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { crossEntropy as hardware, crossEntropySoftware } from "../../lib/kernels/cross_entropy.ts";
import { crossEntropy } from "../../lib/ops/cross_entropy.ts";
import { crossEntropy as twin, crossEntropyBackward } from "../../lib/reference/cross_entropy.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { bound, EPS, EXP_GRANT, expectClose, LOG_GRANT } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

const KERNELS = [hardware, crossEntropySoftware];

/** Kernels alone: rows that begin at each place of a vector; as many vectors as a workgroup has lanes (8, 128), ±1. */
const ROWS = [
  [1, 1],
  [5, 1],
  [3, 2],
  [4, 3],
  [5, 7],
  [7, 97],
  [3, 28],
  [3, 31],
  [3, 32],
  [3, 33],
  [2, 508],
  [2, 511],
  [2, 512],
  [2, 513],
  [1, 2049],
  [0, 9],
];

const kernelCases: KernelCase[] = ROWS.flatMap(([n, v]) =>
  [1, 200].map((spread) => ({
    kernel: "cross_entropy",
    name: `${n} rows of ${v} logits, spread ${spread}`,
    async run(gpu: Gpu) {
      const rng = new Rng(5, "cross entropy");
      const data = Float32Array.from({ length: n * v }, () => spread * rng.normal());
      // Every third row is masked.
      const labels = Int32Array.from({ length: n }, (_, i) => i % 3 === 2 ? -1 : rng.below(v));
      const scale = 0.75;
      const exact = twinOf(Float64Array.from(data), identity(v), labels, { n, d: v, v }, scale);
      using targets = gpu.upload(labels, [n]);
      for (const kernel of KERNELS) {
        using logits = gpu.upload(data, [n, v]);
        using nll = gpu.tensor([n]);
        gpu.run(kernel, [targets, logits, nll], { first: 0, rows: n, v, gradient: 1, scale });
        expectClose(await gpu.read(nll), exact.nll, exact.nllBound(() => 0), `nll, ${kernel.name}`);
        expectClose(
          await gpu.read(logits),
          exact.dx,
          exact.gradientBound(() => 0),
          `gradient of the logits, ${kernel.name}`,
        );
      }
    },
  }))
);

/** The op: n, d, v, chunk of rows. Chunks that divide n and that do not; rows of x that fill 256 bytes and that do not. */
const SHAPES = [
  [1, 1, 1, 1],
  [12, 64, 37, 4],
  [13, 64, 37, 4],
  [13, 64, 512, 13],
  [11, 32, 33, 2],
  [130, 7, 19, 1],
  [5, 9, 101, 100],
  [0, 8, 5, 1],
];

const opCases: KernelCase[] = SHAPES.flatMap(([n, d, v, chunk]) =>
  ["some", "all"].map((masked) => ({
    kernel: "cross_entropy",
    name: `n ${n}, d ${d}, v ${v} in chunks of ${chunk}, ${masked} masked`,
    async run(gpu: Gpu) {
      const rng = new Rng(6, "cross entropy");
      const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
      const [xs, ws, old] = [normal(n * d), normal(v * d), normal(v * d)];
      const labels = Int32Array.from(
        { length: n },
        () => masked === "all" || rng.uniform() < 0.3 ? -1 : rng.below(v),
      );
      using x = gpu.upload(xs, [n, d]);
      using head = gpu.upload(ws, [v, d]);
      using dHead = gpu.upload(old, [v, d]);
      using targets = gpu.upload(labels, [n]);
      const scale = 1 / Math.max(1, labels.filter((label) => label >= 0).length);
      const found = crossEntropy(gpu, x, head, targets, {
        scale,
        dx: true,
        dHead,
        chunkBytes: 4 * v * chunk,
      });
      using nll = found.nll;
      using dx = found.dx!;
      const plain = crossEntropy(gpu, x, head, targets);
      using alone = plain.nll;

      const [x64, w64] = [Float64Array.from(xs), Float64Array.from(ws)];
      const exact = twinOf(x64, w64, labels, { n, d, v }, scale);
      const product = matmul(x64.map(Math.abs), w64.map(Math.abs), { m: n, n: v, k: d }, "nt");
      const logitBound = (row: number) =>
        bound(d, [product.subarray(row * v, (row + 1) * v).reduce((a, b) => Math.max(a, b), 0)])[0];
      const nllBound = exact.nllBound(logitBound);
      expectClose(await gpu.read(nll), exact.nll, nllBound, "nll");
      expectClose(await gpu.read(alone), exact.nll, nllBound, "nll without gradients");
      const error = exact.gradientBound(logitBound);
      const size = exact.gradientSize;
      const dxBound = sum(
        matmul(error, w64.map(Math.abs), { m: n, n: d, k: v }),
        bound(v, matmul(size, w64.map(Math.abs), { m: n, n: d, k: v })),
      );
      expectClose(await gpu.read(dx), exact.dx, dxBound, "dx");
      const dwSize = sum(matmul(size, x64.map(Math.abs), { m: v, n: d, k: n }, "tn"), old.map(Math.abs));
      const dwBound = sum(matmul(error, x64.map(Math.abs), { m: v, n: d, k: n }, "tn"), bound(n + 1, dwSize));
      expectClose(await gpu.read(dHead), sum(exact.dw, old), dwBound, "dHead");
    },
  }))
);

const brokenCases: KernelCase[] = KERNELS.map((kernel) => ({
  kernel: "cross_entropy",
  name: `a logit that is not finite and a target past the end make their rows NaN, ${kernel.name}`,
  async run(gpu: Gpu) {
    const v = 5;
    const data = new Float32Array(6 * v);
    data[1 * v + 2] = NaN;
    data[2 * v + 4] = Infinity;
    data[3 * v] = -Infinity;
    using targets = gpu.upload(Int32Array.of(0, 0, 0, 0, v, -2), [6]);
    using logits = gpu.upload(data, [6, v]);
    using nll = gpu.tensor([6]);
    gpu.run(kernel, [targets, logits, nll], { first: 0, rows: 6, v, gradient: 1, scale: 1 });
    const found = await gpu.read(nll);
    const nan = (length: number) => new Float64Array(length).fill(NaN);
    expectClose(found.subarray(1), nan(5), 0, "nll");
    expectClose(
      found.subarray(0, 1),
      [Math.log(v)],
      bound(v, [Math.log(v)], EXP_GRANT + LOG_GRANT),
      "nll[0]",
    );
    expectClose((await gpu.read(logits)).subarray(v), nan(5 * v), 0, "gradient of the logits");
  },
}));

/** Cross-entropy against its twin, the kernel alone and with its matrix products. */
export const cases: KernelCase[] = [...kernelCases, ...opCases, ...brokenCases];

/** The twin's results with the bounds that the kernel's spec states, given what the logits of a row are off by. */
function twinOf(
  x: Float64Array,
  w: Float64Array,
  labels: Int32Array,
  dims: { n: number; d: number; v: number },
  scale: number,
) {
  const { n, d, v } = dims;
  const forward = twin(x, w, labels, dims);
  const { dx, dw } = crossEntropyBackward(x, w, labels, forward, dims, scale * forward.count);
  const logits = matmul(x, w, { m: n, n: v, k: d }, "nt");
  const live = (at: number) => labels[Math.floor(at / v)] >= 0;
  const softmax = logits.map((logit, at) =>
    live(at) ? Math.exp(logit - forward.logSumExp[Math.floor(at / v)]) : 0
  );
  const onehot = logits.map((_, at) => labels[Math.floor(at / v)] === at % v ? 1 : 0);
  return {
    nll: forward.nll,
    dx,
    dw,
    gradientSize: softmax.map((p, at) => scale * (p + onehot[at])),
    nllBound: (logitBound: (row: number) => number) =>
      forward.nll.map((nll, row) => {
        if (labels[row] < 0) return 0;
        const own = logits.subarray(row * v, (row + 1) * v);
        const largest = own.reduce((a, b) => Math.max(a, b), -Infinity);
        const size = Math.abs(largest) + Math.abs(own[labels[row]]) + nll;
        return bound(v, [1], EXP_GRANT + LOG_GRANT)[0] + bound(1, [size])[0] + 2 * logitBound(row);
      }),
    gradientBound: (logitBound: (row: number) => number) =>
      softmax.map((p, at) => {
        if (!live(at)) return 0;
        const grant = 2 * EXP_GRANT + 4 * EPS + 2 * logitBound(Math.floor(at / v));
        return scale * (bound(v, [p], grant)[0] + bound(1, [onehot[at]])[0]);
      }),
  };
}

function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => at % (n + 1) === 0 ? 1 : 0);
}

function sum(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from(a, (x, i) => x + b[i]);
}
