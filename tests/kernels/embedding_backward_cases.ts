import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { embeddingBackward, embeddingPlan } from "../../lib/ops/embedding.ts";
import { embeddingBackward as twin } from "../../lib/reference/embedding.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** n, d, v: rows never read, read once and read by all tokens (v = 1); workgroups of 64 elements filled, ±1. */
const SHAPES = [
  [1, 1, 1],
  [257, 3, 1],
  [9, 7, 8],
  [40, 4, 1000],
  [63, 1, 500],
  [64, 1, 5000],
  [65, 1, 5000],
  [128, 65, 7],
  [0, 8, 4],
];

/** The gradient of the gather against its twin. */
export const cases: KernelCase[] = SHAPES.flatMap(([n, d, v]) =>
  [false, true].map((accumulate) => ({
    kernel: "embedding_backward",
    name: `n ${n}, d ${d}, v ${v}${accumulate ? ", added" : ""}`,
    async run(gpu: Gpu) {
      const rng = new Rng(3, "embedding backward");
      const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
      const tokens = Uint32Array.from({ length: n }, () => rng.below(v));
      const [gradient, old] = [normal(n * d), normal(v * d)];
      using plan = embeddingPlan(gpu, tokens, v);
      using dx = gpu.upload(gradient, [n, d]);
      using into = gpu.upload(old, [v, d]);
      embeddingBackward(gpu, plan, dx, into, accumulate);
      const kept = accumulate ? old : new Float32Array(v * d);
      const sums = (values: Float64Array) => twin(values, Int32Array.from(tokens), { n, d, v });
      const expected = sums(Float64Array.from(gradient)).map((x, i) => x + kept[i]);
      const magnitude = sums(Float64Array.from(gradient, Math.abs)).map((x, i) => x + Math.abs(kept[i]));
      const reads = new Uint32Array(v);
      tokens.forEach((id) => reads[id]++);
      const limits = magnitude.map((m, i) => bound(reads[Math.floor(i / d)] + 1, [m])[0]);
      expectClose(await gpu.read(into), expected, limits, "into");
    },
  }))
);
