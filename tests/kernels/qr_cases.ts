import { Rng } from "../../lib/core/rng.ts";
import { qr, type QrOptions } from "../../lib/linalg/qr.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { expectFactors } from "../linalg/qr_properties.ts";

type Fill = (rng: Rng, i: number, j: number) => number;

const normal: Fill = (rng) => rng.normal();

/** m, n, options: wide and tall, panels of 32 columns and rows of 4 and 64 filled ±1. */
const SHAPES: [number, number, QrOptions?][] = [
  [1, 1],
  [1, 5],
  [5, 1],
  [3, 3],
  [31, 31],
  [32, 33],
  [33, 32],
  [63, 40],
  [64, 64],
  [65, 34],
  [7, 65],
  [128, 5],
  [200, 97],
  [9, 4, { full: true }],
  [40, 33, { full: true }],
  [4, 9, { full: true }],
  [33, 20, { columns: 1 }],
  [20, 33, { columns: 8 }],
  [70, 70, { columns: 33 }],
  [70, 70, { columns: 64 }],
];

const FILLS: Record<string, Fill> = {
  "zeros": () => 0,
  "a zero column": (rng, _, j) => j === 3 ? 0 : rng.normal(),
  "zero first and last columns": (rng, _, j) => j === 0 || j === 11 ? 0 : rng.normal(),
  "equal columns": (_, i) => Math.cos(i),
  "rank 2": (_, i, j) => Math.fround(Math.cos(i) * j + Math.sin(i) * (j % 3)),
  "the identity": (_, i, j) => Number(i === j),
  "upper triangular": (rng, i, j) => i <= j ? rng.normal() : 0,
  "negative diagonal": (_, i, j) => i === j ? -2 : 0,
  "entries of 1e-20": (rng) => 1e-20 * rng.normal(),
  "entries of 1e15": (rng) => 1e15 * rng.normal(),
  "columns of 1e-20 and 1e15": (rng, _, j) => (j % 2 ? 1e15 : 1e-20) * rng.normal(),
  "rows of 1e-20 and 1e15": (rng, i) => (i % 2 ? 1e15 : 1e-20) * rng.normal(),
  "columns of 1e-20 that depend on columns of 1e15": (_, i, j) => (j % 2 ? 1e15 : 1e-20) * Math.cos(i),
};

function one(name: string, m: number, n: number, options: QrOptions, fill: Fill): KernelCase {
  return {
    kernel: "qr",
    name: `[${m}, ${n}]${options.full ? " full" : ""}${
      options.columns ? `, columns ${options.columns}` : ""
    }, ${name}`,
    async run(gpu) {
      const rng = new Rng(m * 1000 + n, "qr");
      const data = Float32Array.from({ length: m * n }, (_, at) => fill(rng, Math.floor(at / n), at % n));
      using w = gpu.upload(data, [m, n]);
      const { q, r } = await qr(gpu, w, options);
      const [qData, rData] = [await gpu.read(q), await gpu.read(r)];
      q.dispose();
      r.dispose();
      const columns = options.columns ?? Math.min(m, n);
      expectFactors({ w: data, q: qData, r: rData, m, n, columns, width: options.full ? m : columns });
    },
  };
}

/** Factorisations by all kernels of the family, held to the properties of a QR. */
export const cases: KernelCase[] = [
  ...SHAPES.map(([m, n, options = {}]) => one("normal", m, n, options, normal)),
  ...Object.entries(FILLS).flatMap(([name, fill]) => [
    one(name, 37, 12, {}, fill),
    one(name, 12, 12, {}, fill),
    one(name, 12, 37, { columns: 5 }, fill),
    one(name, 70, 67, {}, fill),
  ]),
];
