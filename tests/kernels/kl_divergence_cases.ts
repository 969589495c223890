import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { klDivergence as hardware, klDivergenceSoftware } from "../../lib/kernels/kl_divergence.ts";
import { klDivergence } from "../../lib/ops/kl_divergence.ts";
import { klDivergence as twin } from "../../lib/reference/kl_divergence.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { bound, EPS, EXP_GRANT, expectClose, LOG_GRANT } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

const KERNELS = [hardware, klDivergenceSoftware];

/** Rows shorter than a workgroup has lanes (8, 128), as long, ±1, and longer. */
const ROWS = [[1, 1], [5, 2], [4, 7], [3, 8], [3, 9], [4, 97], [2, 127], [2, 128], [2, 129], [1, 2049], [
  0,
  9,
]];

/** Logits that are the same, all but the same, apart as after fine-tuning, and far apart. */
const DISTANCES = [0, 1e-3, 0.3, 50];

const kernelCases: KernelCase[] = ROWS.flatMap(([n, v]) =>
  DISTANCES.map((distance) => ({
    kernel: "kl_divergence",
    name: `${n} rows of ${v} logits, ${distance} apart`,
    async run(gpu: Gpu) {
      const rng = new Rng(8, "kl divergence");
      const xs = Float32Array.from({ length: n * v }, () => 3 * rng.normal());
      const ys = xs.map((x) => x + distance * rng.normal());
      // Every third row is masked.
      const labels = Int32Array.from({ length: n }, (_, i) => i % 3 === 2 ? -1 : rng.below(v));
      const [x64, y64] = [Float64Array.from(xs), Float64Array.from(ys)];
      const exact = twin(x64, y64, labels, { n, v });
      using targets = gpu.upload(labels, [n]);
      using x = gpu.upload(xs, [n, v]);
      using y = gpu.upload(ys, [n, v]);
      for (const kernel of KERNELS) {
        using kl = gpu.tensor([n]);
        gpu.run(kernel, [targets, x, y, kl], { first: 0, rows: n, v });
        const limit = distance === 0 ? 0 : klBound(x64, y64, labels, { n, v }, () => 0);
        expectClose(await gpu.read(kl), distance === 0 ? new Float64Array(n) : exact, limit, kernel.name);
      }
    },
  }))
);

/** The op: n, d, v, chunk of rows. Chunks that divide n and that do not; rows of x that fill 256 bytes and that do not. */
const SHAPES = [[1, 1, 1, 1], [12, 64, 37, 4], [13, 64, 37, 4], [11, 32, 33, 2], [70, 7, 19, 1], [
  0,
  8,
  5,
  1,
]];

const opCases: KernelCase[] = SHAPES.map(([n, d, v, chunk]) => ({
  kernel: "kl_divergence",
  name: `n ${n}, d ${d}, v ${v} in chunks of ${chunk}`,
  async run(gpu: Gpu) {
    const rng = new Rng(9, "kl divergence");
    const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
    const near = (values: Float32Array) => values.map((value) => value + 0.1 * rng.normal());
    const [x1, w1] = [normal(n * d), normal(v * d)];
    const [x2, w2] = [near(x1), near(w1)];
    const labels = Int32Array.from({ length: n }, () => rng.uniform() < 0.3 ? -1 : rng.below(v));
    using p = gpu.upload(x1, [n, d]);
    using q = gpu.upload(x2, [n, d]);
    using headP = gpu.upload(w1, [v, d]);
    using headQ = gpu.upload(w2, [v, d]);
    using targets = gpu.upload(labels, [n]);
    using kl = klDivergence(gpu, { x: p, head: headP }, { x: q, head: headQ }, targets, {
      chunkBytes: 4 * v * chunk,
    });
    const product = (x: Float32Array, w: Float32Array, each: (value: number) => number) =>
      matmul(Float64Array.from(x, each), Float64Array.from(w, each), { m: n, n: v, k: d }, "nt");
    const same = (value: number) => value;
    const [logitsP, logitsQ] = [product(x1, w1, same), product(x2, w2, same)];
    const [sizeP, sizeQ] = [product(x1, w1, Math.abs), product(x2, w2, Math.abs)];
    const dims = { n, v };
    const logitBound = (row: number) =>
      bound(d, [sizeP, sizeQ].map((size) => Math.max(...size.subarray(row * v, (row + 1) * v))))
        .reduce((a, b) => a + b);
    expectClose(
      await gpu.read(kl),
      twin(logitsP, logitsQ, labels, dims),
      klBound(logitsP, logitsQ, labels, dims, logitBound),
      "kl",
    );
  },
}));

const brokenCases: KernelCase[] = KERNELS.map((kernel) => ({
  kernel: "kl_divergence",
  name: `a logit that is not finite makes its row NaN, ${kernel.name}`,
  async run(gpu: Gpu) {
    const v = 5;
    const [xs, ys] = [new Float32Array(5 * v), new Float32Array(5 * v)];
    xs[1 * v + 2] = NaN;
    ys[2 * v + 4] = Infinity;
    ys[3 * v] = -Infinity;
    xs[4 * v] = NaN; // masked
    using targets = gpu.upload(Int32Array.of(0, 0, 0, 0, -1), [5]);
    using x = gpu.upload(xs, [5, v]);
    using y = gpu.upload(ys, [5, v]);
    using kl = gpu.tensor([5]);
    gpu.run(kernel, [targets, x, y, kl], { first: 0, rows: 5, v });
    expectClose(await gpu.read(kl), [0, NaN, NaN, NaN, 0], 0, "kl");
  },
}));

/** The divergence against its twin, the kernel alone and with its matrix products. */
export const cases: KernelCase[] = [...kernelCases, ...opCases, ...brokenCases];

/** The bound that the kernel's spec states, given what the logits of a row are off by on both sides together. */
function klBound(
  x: Float64Array,
  y: Float64Array,
  labels: Int32Array,
  { n, v }: { n: number; v: number },
  logitBound: (row: number) => number,
): Float64Array {
  return Float64Array.from({ length: n }, (_, row) => {
    if (labels[row] < 0) return 0;
    const [a, b] = [x, y].map((logits) => sideOf(logits.subarray(row * v, (row + 1) * v)));
    let [error, size, flushed] = [0, 0, 0];
    for (let i = 0; i < v; i++) {
      const [p, q] = [Math.exp(a.log[i]), Math.exp(b.log[i])];
      const t = a.log[i] - b.log[i];
      const off = a.tau[i] + b.tau[i] + 2 * logitBound(row);
      const grant = EXP_GRANT + off;
      const f = p * (t + Math.expm1(-t));
      const near = (grant + 8 * EPS) * f + Math.abs(p - q) * off;
      const far = (grant + 2 * EPS) * (p * Math.abs(t - 1) + q) + p * off;
      error += Math.abs(t) < 0.5 - off ? near : far;
      size += Math.abs(t) < 0.5 - off ? f : p * Math.abs(t - 1) + q;
      flushed += bound(1, [0])[0] * (2 + Math.abs(t));
    }
    return error + bound(v, [size])[0] + flushed;
  });
}

/** Log-probabilities of a row of logits, and what the device's are off by. */
function sideOf(row: Float64Array): { log: Float64Array; tau: Float64Array } {
  const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  const sum = bound(row.length, [1], 2 * EXP_GRANT + LOG_GRANT)[0];
  return {
    log: row.map((logit) => logit - max - logSum),
    tau: row.map((logit) => sum + bound(1, [Math.abs(logit - max) + logSum])[0]),
  };
}
