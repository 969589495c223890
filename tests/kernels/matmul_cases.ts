import { blockDTypes, blockSize, type DType, isBlockDType } from "../../lib/core/dtype.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { matmulClass, matmulVariants } from "../../lib/kernels/matmul_variants.ts";
import { matmul, type MatmulForm } from "../../lib/ops/matmul.ts";
import { matmul as twin } from "../../lib/reference/matmul.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { bound, expectClose } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";

const VARIANTS = [
  "share8",
  "share16",
  "share32",
  "own",
  "tile16",
  "tile32",
  "tile64",
  "tile64by4",
  "tile128by4",
];
const FORMS: MatmulForm[] = ["nn", "nt", "tn"];

/** Lengths of one product. */
interface Lengths {
  m: number;
  n: number;
  k: number;
  /** Absent for operands without a batch axis. */
  batch?: number;
}

/**
 * Below, at and above the edges of tiles (8 to 128 rows, 16 to 128 columns), of steps along k (4, 8, 16) and
 * of ranges that a long sum is split into (128); multiples of 4, which `share` needs, and others; nothing at all.
 */
const SHAPES: Lengths[] = [
  { m: 1, n: 1, k: 1 },
  { m: 7, n: 5, k: 3 },
  { m: 8, n: 32, k: 4 },
  { m: 9, n: 36, k: 8 },
  { m: 36, n: 4, k: 17 },
  { m: 16, n: 16, k: 16 },
  { m: 17, n: 64, k: 20 },
  { m: 28, n: 60, k: 12 },
  { m: 31, n: 33, k: 15 },
  { m: 32, n: 64, k: 64 },
  { m: 36, n: 68, k: 36 },
  { m: 63, n: 65, k: 33 },
  { m: 64, n: 128, k: 7 },
  { m: 68, n: 132, k: 31 },
  { m: 97, n: 67, k: 131 },
  { m: 129, n: 260, k: 9 },
  { m: 8, n: 64, k: 1024 },
  { m: 100, n: 8, k: 516 },
  { m: 1, n: 172, k: 64 },
  { m: 0, n: 5, k: 3 },
  { m: 5, n: 0, k: 3 },
  { m: 5, n: 4, k: 0 },
  { m: 5, n: 7, k: 9, batch: 3 },
  { m: 12, n: 20, k: 28, batch: 5 },
  { m: 40, n: 72, k: 136, batch: 2 },
  { m: 4, n: 4, k: 4, batch: 0 },
];

/**
 * Rows of A, rows of B, and blocks (of 4 elements where there are none) in a row of B: tiles half empty, parts of blocks
 * that end in the middle of a word, ranges of a long sum; rows of B that only `own` and `tile` can read.
 */
const STORED = [[9, 36, 1], [33, 20, 3], [40, 68, 5], [5, 7, 1]];

/** Every variant in every form against the twin, plain and added to what was there. */
const dense = VARIANTS.flatMap((variant) =>
  FORMS.map((form) =>
    caseOf(variant, form, async (gpu) => {
      for (const lengths of SHAPES) await compare(gpu, variant, form, lengths, "f32");
      for (const lengths of [{ m: 9, n: 36, k: 8 }, { m: 40, n: 72, k: 136, batch: 2 }]) {
        await compare(gpu, variant, form, lengths, "f32", -0.75);
      }
    })
  )
);

/** Every form of a weight by one variant of each family, and one of them by all, added to what was there too. */
const stored = (["f16", "bf16", ...blockDTypes] as const).flatMap((dtype) =>
  VARIANTS.filter((name) => ["share16", "tile32", "own"].includes(name) || dtype === "q6_k")
    .flatMap((variant) =>
      (["nn", "nt"] as const).map((form) =>
        caseOf(variant, `${form} with ${dtype}`, async (gpu) => {
          for (const [m, rows, blocks] of STORED) {
            const width = blocks * (isBlockDType(dtype) ? blockSize(dtype) : 4);
            const lengths = form === "nn" ? { m, n: width, k: rows } : { m, n: rows, k: width };
            await compare(gpu, variant, form, lengths, dtype);
            if (dtype === "q6_k") await compare(gpu, variant, form, lengths, dtype, -0.75);
          }
        })
      )
    )
);

/** All products; a device without subgroups has no `share`. */
export const cases: KernelCase[] = [...dense, ...stored];

function caseOf(variant: string, name: string, run: (gpu: Gpu) => Promise<void>): KernelCase {
  return {
    kernel: "matmul",
    name: `${name} by ${variant}`,
    run: async (gpu) => {
      if (matmulVariants(gpu).includes(variant)) await run(gpu);
    },
  };
}

/** One product; with a `scale` it is added to what was there. */
async function compare(
  gpu: Gpu,
  variant: string,
  form: MatmulForm,
  lengths: Lengths,
  dtype: Exclude<DType, "u32" | "i32">,
  scale?: number,
): Promise<void> {
  const { m, n, k, batch = 1 } = lengths;
  const rng = new Rng(1, "matmul");
  const draw = (length: number) => Float32Array.from({ length }, () => rng.normal());
  const [a, start] = [draw(batch * m * k), draw(batch * m * n)];
  const lead = lengths.batch === undefined ? [] : [batch];
  using ta = gpu.upload(a, [...lead, ...form === "tn" ? [k, m] : [m, k]]);
  const shape = [...lead, ...form === "nt" ? [n, k] : [k, n]];
  const weight = isBlockDType(dtype)
    ? randomBlocks(rng, form === "nt" ? [n, k] : [k, n], dtype)
    : hostTensor(shape, draw(batch * k * n), dtype);
  const b = toFloat32(weight);
  using tb = gpu.uploadHost(weight);
  using into = gpu.upload(start, [...lead, m, n]);
  withVariant(gpu, matmulClass({ m, n, k, batch }), variant, () => {
    matmul(gpu, form, ta, tb, { into, accumulate: scale !== undefined, scale });
  });
  const [value, size] = [(x: number) => x, Math.abs].map((f) => {
    const product = twin(Float64Array.from(a, f), Float64Array.from(b, f), { m, n, k, batch }, form);
    return scale === undefined ? product : product.map((x, i) => f(start[i]) + f(scale) * x);
  });
  const terms = scale === undefined ? k : k + 1;
  expectClose(
    await gpu.read(into),
    value,
    bound(terms, size),
    `${form} by ${variant}, ${dtype}, ${JSON.stringify(lengths)}`,
  );
}

function withVariant(gpu: Gpu, kind: string, variant: string, body: () => void): void {
  const before = gpu.variants.get(kind);
  gpu.variants.set(kind, variant);
  try {
    body();
  } finally {
    if (before === undefined) gpu.variants.delete(kind);
    else gpu.variants.set(kind, before);
  }
}
