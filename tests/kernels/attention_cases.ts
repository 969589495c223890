import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { attention } from "../../lib/ops/attention.ts";
import { expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { type AttentionShape, attentionTwin, onEachVariant } from "./attention_bounds.ts";

/**
 * t at, below and above the rows of an invocation (1, 2, 4), of a subgroup (4 · 8, 1 · 8) and of a workgroup (32, 64,
 * 128), and the keys of a block (8); widths of vec4 and of vec2.
 */
const SHAPES: AttentionShape[] = [
  { b: 1, t: 1, h: 1, hk: 1, c: 2 },
  { b: 1, t: 1, h: 1, hk: 1, c: 8 },
  { b: 2, t: 7, h: 3, hk: 1, c: 6 },
  { b: 2, t: 8, h: 2, hk: 2, c: 8 },
  { b: 1, t: 9, h: 4, hk: 2, c: 8 },
  { b: 1, t: 31, h: 2, hk: 1, c: 16 },
  { b: 3, t: 32, h: 1, hk: 1, c: 8 },
  { b: 1, t: 33, h: 1, hk: 1, c: 12 },
  { b: 1, t: 127, h: 1, hk: 1, c: 8 },
  { b: 1, t: 129, h: 1, hk: 1, c: 8 },
  { b: 1, t: 13, h: 6, hk: 3, c: 32 },
  { b: 1, t: 17, h: 3, hk: 1, c: 64 },
  { b: 1, t: 5, h: 2, hk: 1, c: 128 },
  { b: 0, t: 5, h: 2, hk: 1, c: 8 },
  { b: 2, t: 0, h: 2, hk: 1, c: 8 },
];

/** Continuations of a cache: one query, several, and a cache that is longer than what is seen. */
const CONTINUED: AttentionShape[] = [
  { b: 2, t: 1, h: 4, hk: 2, c: 8, start: 16, s: 17 },
  { b: 1, t: 5, h: 3, hk: 1, c: 16, start: 11, s: 16 },
  { b: 2, t: 3, h: 2, hk: 2, c: 8, start: 2, s: 23 },
];

/** Windows of one key, below, at and above a block, and beyond the text; with a cache and in groups. */
const WINDOWS: AttentionShape[] = [
  { b: 1, t: 9, h: 2, hk: 1, c: 8, window: 1 },
  { b: 2, t: 33, h: 3, hk: 1, c: 6, window: 7 },
  { b: 1, t: 40, h: 2, hk: 2, c: 8, window: 8 },
  { b: 1, t: 129, h: 1, hk: 1, c: 8, window: 9 },
  { b: 1, t: 13, h: 6, hk: 3, c: 32, window: 100 },
  { b: 2, t: 3, h: 2, hk: 2, c: 8, start: 17, s: 23, window: 5 },
];

/** Attention against its twin. */
export const cases: KernelCase[] = [...SHAPES, ...CONTINUED, ...WINDOWS].flatMap((shape) =>
  [1, 30].map((spread) => ({
    kernel: "attention",
    name: `${
      Object.entries(shape).map(([name, length]) => `${name} ${length}`).join(", ")
    }, spread ${spread}`,
    async run(gpu: Gpu) {
      const { b, t, h, hk, c, start = 0, s = t, window } = shape;
      const rng = new Rng(8, "attention");
      const normal = (length: number) => Float32Array.from({ length }, () => rng.normal());
      const host = {
        q: normal(b * t * h * c).map((x) => spread * x),
        k: normal(b * s * hk * c),
        v: normal(b * s * hk * c),
      };
      const exact = attentionTwin(host, shape);
      using q = gpu.upload(host.q, [b, t, h, c]);
      using k = gpu.upload(host.k, [b, s, hk, c]);
      using v = gpu.upload(host.v, [b, s, hk, c]);
      await onEachVariant(gpu, async (variant) => {
        const found = attention(gpu, q, k, v, { start, ...(window && { window }) });
        using out = found.out;
        using logSumExp = found.logSumExp;
        expectClose(await gpu.read(out), exact.out, exact.outBound, `out, ${variant}`);
        expectClose(
          await gpu.read(logSumExp),
          exact.logSumExp,
          exact.logSumExpBound,
          `logSumExp, ${variant}`,
        );
      });
    },
  }))
);
