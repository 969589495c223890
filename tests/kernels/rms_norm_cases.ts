import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { rmsNormSpec } from "../../lib/kernels/rms_norm.ts";
import { rmsNormBackwardSpec } from "../../lib/kernels/rms_norm_backward.ts";
import { rmsNorm, rmsNormBackward, rmsNormWeight } from "../../lib/ops/rms_norm.ts";
import { rmsNorm as twin, rmsNormBackward as twinBackward } from "../../lib/reference/rms_norm.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

const NORM_EPS = 1e-5;

/** n, d: rows around a workgroup of 64 and of one row, widths that fill vectors and lanes and that do not. */
const SHAPES = [
  [1, 1],
  [1, 4],
  [2, 7],
  [63, 3],
  [64, 64],
  [65, 63],
  [3, 65],
  [5, 252],
  [2, 256],
  [7, 257],
  [129, 8],
  [0, 8],
];

const LANES = [1, 8, 64];

interface Data {
  x: Float32Array;
  delta: Float32Array;
  w: Float32Array;
  dy: Float32Array;
  dh: Float32Array;
}

function data(n: number, d: number): Data {
  const rng = new Rng(n * 1000 + d, "rms norm");
  const normal = (size: number) => Float32Array.from({ length: size }, () => rng.normal());
  return { x: normal(n * d), delta: normal(n * d), w: normal(d), dy: normal(n * d), dh: normal(n * d) };
}

const wide = (x: Float32Array) => Float64Array.from(x);

function forward(n: number, d: number, lanes: number, width: 1 | 4, hasDelta: boolean): KernelCase {
  return {
    kernel: "rms_norm",
    name: `[${n}, ${d}], ${lanes} lanes, width ${width}${hasDelta ? ", delta" : ""}`,
    async run(gpu) {
      const { x, delta, w } = data(n, d);
      using tx = gpu.upload(x, [n, d]);
      using td = gpu.upload(delta, [n, d]);
      using tw = gpu.upload(w, [d]);
      using h = gpu.tensor([n, d]);
      using y = gpu.tensor([n, d]);
      using rho = gpu.tensor([n]);
      gpu.run(rmsNormSpec({ lanes, width }), [tx, td, tw, h, y, rho], {
        n,
        d,
        has_delta: Number(hasDelta),
        eps: NORM_EPS,
      });
      // The sum is rounded to f32 once, and normed as it is.
      const sum = hasDelta ? x.map((value, i) => value + delta[i]) : x;
      if (hasDelta) expectClose(await gpu.read(h), sum, 0, "h");
      const expected = twin(wide(sum), wide(w), { n, d }, NORM_EPS);
      expectClose(await gpu.read(y), expected, bound(d / 4, expected, 6 * EPS), "y");
      const ones = twin(wide(sum), new Float64Array(d).fill(1), { n, d }, NORM_EPS);
      const scales = Float64Array.from({ length: n }, (_, i) => ones[i * d] / sum[i * d]);
      expectClose(await gpu.read(rho), scales, bound(d / 4, scales, 6 * EPS), "rho");
    },
  };
}

function backward(n: number, d: number, lanes: number, width: 1 | 4, hasDh: boolean): KernelCase {
  return {
    kernel: "rms_norm_backward",
    name: `[${n}, ${d}], ${lanes} lanes, width ${width}${hasDh ? ", dh" : ""}`,
    async run(gpu) {
      const { x, w, dy, dh } = data(n, d);
      const scales = Float32Array.from({ length: n }, (_, i) => inverseRms(x.subarray(i * d, i * d + d)));
      using tx = gpu.upload(x, [n, d]);
      using tw = gpu.upload(w, [d]);
      using rho = gpu.upload(scales, [n]);
      using tdy = gpu.upload(dy, [n, d]);
      using tdh = gpu.upload(dh, [n, d]);
      using dx = gpu.tensor([n, d]);
      gpu.run(rmsNormBackwardSpec({ lanes, width }), [tx, tw, rho, tdy, tdh, dx], {
        n,
        d,
        has_dh: Number(hasDh),
      });
      const { dx: gradient } = twinBackward(wide(x), wide(w), wide(dy), { n, d }, NORM_EPS);
      const expected = gradient.map((value, i) => value + (hasDh ? dh[i] : 0));
      // ρ was rounded before the kernel read it: that is half an EPS of each factor, three times.
      const magnitude = magnitudes(x, w, dy, d).map((value, i) => value + (hasDh ? Math.abs(dh[i]) : 0));
      expectClose(await gpu.read(dx), expected, bound(d, magnitude, 9.5 * EPS), "dx");
    },
  };
}

function inverseRms(row: Float32Array): number {
  return 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / row.length + NORM_EPS);
}

/** ρ |w dy| + ρ³ |x| mean |w dy x|. */
function magnitudes(x: Float32Array, w: Float32Array, dy: Float32Array, d: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += d) {
    const rho = inverseRms(x.subarray(i, i + d));
    let sum = 0;
    for (let j = 0; j < d; j++) sum += Math.abs(w[j] * dy[i + j] * x[i + j]);
    for (let j = 0; j < d; j++) {
      out[i + j] = rho * Math.abs(w[j] * dy[i + j]) + rho ** 3 * Math.abs(x[i + j]) * sum / d;
    }
  }
  return out;
}

function weight(n: number, d: number): KernelCase {
  return {
    kernel: "rms_norm_weight",
    name: `[${n}, ${d}] added to what is there`,
    async run(gpu) {
      const { x, w, dy } = data(n, d);
      using tx = gpu.upload(x, [n, d]);
      using rho = gpu.upload(
        Float32Array.from({ length: n }, (_, i) => inverseRms(x.subarray(i * d, i * d + d))),
        [n],
      );
      using tdy = gpu.upload(dy, [n, d]);
      using into = gpu.upload(w, [d]);
      rmsNormWeight(gpu, { h: tx, rho }, tdy, into);
      const { dw } = twinBackward(wide(x), wide(w), wide(dy), { n, d }, NORM_EPS);
      const magnitude = Float64Array.from(w, Math.abs);
      for (let i = 0; i < n; i++) {
        const scale = inverseRms(x.subarray(i * d, i * d + d));
        for (let j = 0; j < d; j++) magnitude[j] += Math.abs(dy[i * d + j] * x[i * d + j]) * scale;
      }
      expectClose(await gpu.read(into), dw.map((g, j) => g + w[j]), bound(n + 1, magnitude, EPS), "dw");
    },
  };
}

/** The operations pick a layout by themselves; their result is that of the twin all the same. */
const whole: KernelCase[] = [[65, 8], [3, 5]].map(([n, d]) => ({
  kernel: "rms_norm",
  name: `rmsNorm() and rmsNormBackward() of [${n}, ${d}]`,
  async run(gpu: Gpu) {
    const { x, w, dy } = data(n, d);
    using tx = gpu.upload(x, [n, d]);
    using tw = gpu.upload(w, [d]);
    using tdy = gpu.upload(dy, [n, d]);
    const { h, y, rho } = rmsNorm(gpu, tx, tw, { eps: NORM_EPS });
    using dx = rmsNormBackward(gpu, { h, rho, w: tw }, tdy);
    const expected = twin(wide(x), wide(w), { n, d }, NORM_EPS);
    expectClose(await gpu.read(y), expected, bound(d / 4, expected, 6 * EPS), "y");
    const { dx: gradient } = twinBackward(wide(x), wide(w), wide(dy), { n, d }, NORM_EPS);
    // ρ has the error of the forward pass, to the third power.
    const limit = bound(d, magnitudes(x, w, dy, d), 8 * EPS + 3 * (Math.sqrt(d) / 2 + 6) * EPS);
    expectClose(await gpu.read(dx), gradient, limit, "dx");
    y.dispose();
    rho.dispose();
  },
}));

/** The three kernels of the norm against their twin. */
export const cases: KernelCase[] = [
  ...SHAPES.flatMap(([n, d]) =>
    LANES.flatMap((lanes) =>
      (d % 4 ? [1] as const : [1, 4] as const).flatMap((width) =>
        [true, false].flatMap((extra) => [
          forward(n, d, lanes, width, extra),
          backward(n, d, lanes, width, extra),
        ])
      )
    )
  ),
  ...[...SHAPES, [128, 3], [127, 2], [200, 130]].map(([n, d]) => weight(n, d)),
  ...whole,
];
