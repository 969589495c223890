import { narrow, widen } from "../../lib/core/half.ts";
import { Rng } from "../../lib/core/rng.ts";
import { effectiveWeight, type LowRank } from "../../lib/ops/effective_weight.ts";
import { effectiveWeight as twin } from "../../lib/reference/effective_weight.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

/** out, in, r: rows around 4, columns around 2, 4, 8 and 128, ranks 1 and more. */
const SHAPES = [
  [1, 1, 1],
  [3, 2, 2],
  [4, 7, 1],
  [5, 8, 3],
  [9, 127, 2],
  [4, 128, 4],
  [2, 129, 2],
  [7, 130, 5],
  [65, 64, 8],
  [5, 129, 4],
  [3, 131, 8],
  [11, 255, 11],
  [3, 260, 3],
  [0, 4, 1],
];

const FORMS = ["frozen", "lora", "olora", "olora at its start", "start alone"] as const;

function one(
  out: number,
  inner: number,
  r: number,
  dtype: "f32" | "f16" | "bf16",
  form: typeof FORMS[number],
): KernelCase {
  return {
    kernel: "effective_weight",
    name: `[${out}, ${inner}] ${dtype}, r ${r}, ${form}`,
    async run(gpu) {
      const rng = new Rng(out * 1000 + inner, "effective weight");
      const normal = (size: number) => Float32Array.from({ length: size }, () => rng.normal());
      const bytes = narrow(dtype, normal(out * inner));
      const w = widen(dtype, bytes);
      const [a, b] = [normal(r * inner), normal(out * r)];
      const near = (x: Float32Array) => x.map((value) => value + 0.01 * rng.normal());
      const [a0, b0] = form === "olora at its start" ? [a, b] : [near(a), near(b)];
      const scale = 0.7;
      using tw = gpu.uploadHost({ dtype, shape: [out, inner], bytes });
      using ta = gpu.upload(a, [r, inner]);
      using tb = gpu.upload(b, [out, r]);
      using ta0 = gpu.upload(a0, [r, inner]);
      using tb0 = gpu.upload(b0, [out, r]);
      const lowRank: LowRank = {
        scale,
        ...(form !== "start alone" && { trained: { a: ta, b: tb } }),
        ...(form !== "lora" && { start: { a: ta0, b: tb0 } }),
      };
      using y = effectiveWeight(gpu, tw, form === "frozen" ? undefined : lowRank);
      const actual = await gpu.read(y);
      if (form === "frozen" || form === "olora at its start") {
        expectClose(new Uint32Array(actual.buffer), new Uint32Array(w.buffer), 0, "bits of y");
        return;
      }
      const wide = (x: Float32Array) => Float64Array.from(x);
      const zero = (x: Float32Array) => new Float64Array(x.length);
      const trained = form !== "start alone";
      const start = form !== "lora";
      const [wa, wb] = trained ? [wide(a), wide(b)] : [zero(a), zero(b)];
      const [wa0, wb0] = start ? [wide(a0), wide(b0)] : [zero(a0), zero(b0)];
      const dims = { out, in: inner };
      const expected = twin(wide(w), { rank: r, scale, a: wa, b: wb, a0: wa0, b0: wb0 }, dims);
      // Σ (|b − b₀| |a| + |b₀| |a − a₀|), by the twin on absolute values.
      const abs = (x: Float64Array) => x.map(Math.abs);
      const none = new Float64Array(out * inner);
      const left = twin(
        none,
        { rank: r, scale, a: abs(wa), b: wb.map((x, i) => Math.abs(x - wb0[i])) },
        dims,
      );
      const right = twin(
        none,
        { rank: r, scale, a: wa.map((x, i) => Math.abs(x - wa0[i])), b: abs(wb0) },
        dims,
      );
      const sum = left.map((x, i) => x + right[i]);
      const limit = bound(2 * r, sum).map((x, i) => x + EPS * (Math.abs(w[i]) + sum[i]));
      expectClose(actual, expected, limit, "y");
    },
  };
}

/** W + s (B A − B₀ A₀) against its twin, and W bit for bit where nothing was trained. */
export const cases: KernelCase[] = SHAPES.flatMap(([out, inner, r]) =>
  (["f32", "f16", "bf16"] as const).flatMap((dtype) => FORMS.map((form) => one(out, inner, r, dtype, form)))
);
