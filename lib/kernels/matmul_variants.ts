import type { Contest } from "../gpu/autotune.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { matmulBlock, matmulOwn, matmulShare, matmulSum, matmulTile } from "./matmul.ts";

/** One product to compute: C = scale · op(A) op(B), or that added to C. */
export interface Product {
  /** Lengths: C is `[batch, m, n]`, the sum runs over k. */
  m: number;
  /** Columns of C. */
  n: number;
  /** Length of the sum. */
  k: number;
  /** Independent products. */
  batch: number;
  /** Whether A is stored `[k, m]` rather than `[m, k]`. */
  aByK: boolean;
  /** Whether B is stored `[k, n]` rather than `[n, k]`. */
  bByK: boolean;
  /** Left operand. */
  a: Tensor;
  /** Right operand; a weight as it is stored where `batch` is 1. */
  b: Tensor;
  /** Result. */
  c: Tensor;
  /** Adds to c instead of overwriting it. */
  accumulate: boolean;
  /** Factor of the product. */
  scale: number;
}

/** What products are alike for the choice of a variant. */
export type MatmulClass = "matmul.skinny" | "matmul.small" | "matmul.medium" | "matmul.large";

/** All classes. */
export const MATMUL_CLASSES: readonly MatmulClass[] = [
  "matmul.skinny",
  "matmul.small",
  "matmul.medium",
  "matmul.large",
];

/** At most 16 rows or columns (adapters' factors); else by multiplications: less than 2²², 2²⁷, or more. */
export function matmulClass({ m, n, k, batch }: Pick<Product, "m" | "n" | "k" | "batch">): MatmulClass {
  if (Math.min(m, n) <= 16) return "matmul.skinny";
  const work = m * n * k * batch;
  return work < 2 ** 22 ? "matmul.small" : work < 2 ** 27 ? "matmul.medium" : "matmul.large";
}

/** Names of the variants that `gpu` can run. */
export function matmulVariants(gpu: Gpu): string[] {
  return Object.keys(VARIANTS).filter((name) => !name.startsWith("share") || lanes(gpu) > 0);
}

/**
 * The variant in use where none was tuned: on software adapters shared loads (registers of its own where there are
 * no subgroups), with more rows the larger the product; on GPUs tiles in workgroup memory, likewise.
 */
export function defaultMatmulVariant(gpu: Gpu, kind: MatmulClass): string {
  const family = !gpu.info.isSoftware ? "tile" : lanes(gpu) ? "share" : "own";
  return DEFAULTS[family][kind];
}

const DEFAULTS: Record<string, Record<MatmulClass, string>> = {
  share: {
    "matmul.skinny": "share8",
    "matmul.small": "share16",
    "matmul.medium": "share32",
    "matmul.large": "share32",
  },
  own: { "matmul.skinny": "own", "matmul.small": "own", "matmul.medium": "own", "matmul.large": "own" },
  tile: {
    "matmul.skinny": "tile16",
    "matmul.small": "tile16",
    "matmul.medium": "tile32",
    "matmul.large": "tile64",
  },
};

const VARIANTS: Record<string, (gpu: Gpu, product: Product) => void> = {
  // A tile of 8 would read the long operand twice for 9 to 16 rows.
  share8: (gpu, product) =>
    Math.min(product.m, product.n) <= 8 ? runShare(gpu, product, 8, 4) : runShare(gpu, product, 16, 8),
  share16: (gpu, product) => runShare(gpu, product, 16, 8),
  share32: (gpu, product) => runShare(gpu, product, 32, 8),
  own: runOwn,
  tile16: (gpu, product) => runTile(gpu, product, 16),
  tile32: (gpu, product) => runTile(gpu, product, 32),
  tile64: (gpu, product) => runTile(gpu, product, 64),
  tile64by4: (gpu, product) => runBlock(gpu, product, 64),
  tile128by4: (gpu, product) => runBlock(gpu, product, 128),
};

/**
 * Records the product with the variant that `gpu.variants` names for its class, or the default.
 *
 * @throws {RangeError} If the named variant is unknown or needs subgroups that the device lacks.
 */
export function runMatmul(gpu: Gpu, product: Product): void {
  if (product.m * product.n * product.batch === 0) return;
  const kind = matmulClass(product);
  const name = gpu.variants.get(kind) ?? defaultMatmulVariant(gpu, kind);
  const known = matmulVariants(gpu);
  if (!known.includes(name)) {
    throw new RangeError(`Cannot run ${kind} as "${name}": expected one of ${known.join(", ")}`);
  }
  VARIANTS[name](gpu, product);
}

/** Invocations of a subgroup that the `share` tiles can be cut for, else 0. */
function lanes(gpu: Gpu): number {
  return [4, 8].includes(gpu.info.subgroupSize) ? gpu.info.subgroupSize : 0;
}

/**
 * `own` where a length is no multiple of 4 that must be one. Sums that are added to c use at most 16 rows: with 32,
 * lavapipe compiles the loads and stores of c for seconds.
 */
function runShare(gpu: Gpu, product: Product, most: number, columns: number): void {
  const width = lanes(gpu);
  const rows = product.accumulate ? Math.min(most, 16) : most;
  const [best] = orientations(product, rows, width * columns)
    .filter(({ m, n, k, aByK, bByK, turned }) =>
      n % 4 === 0 && (aByK || turned ? m % 4 === 0 : true) && ((aByK && bByK) || k % 4 === 0)
    );
  if (!best) return runOwn(gpu, product);
  const { m, n, k, batch, a, b, c, aByK, bByK, accumulate, scale, turned } = best;
  const spec = matmulShare({ lanes: width, rows, columns, aByK, bByK, accumulate, turned, dtype: b.dtype });
  gpu.run(spec, [a, b, c], { m, n, k, batch, scale });
}

function runOwn(gpu: Gpu, product: Product): void {
  const [best] = orientations(product, 32, 64);
  const { m, n, k, batch, aByK, bByK, a, b, c, accumulate, scale, turned } = best;
  gpu.run(matmulOwn(b.dtype), [a, b, c], {
    ...{ m, n, k, batch, accumulate: Number(accumulate), scale },
    ...{ c_row: turned ? 1 : n, c_column: turned ? m : 1 },
    ...{ a_row: aByK ? 1 : k, a_k: aByK ? m : 1, b_k: bByK ? n : 1, b_column: bByK ? 1 : k },
  });
}

/**
 * C = A B and Cᵀ = Bᵀ Aᵀ are the same product: both, first the one that leaves less of its tiles empty; with a B that is
 * not f32 the first alone, as A is f32 to every kernel.
 */
function orientations(product: Product, rows: number, columns: number) {
  const plain = { ...product, turned: false };
  if (product.b.dtype !== "f32") return [plain];
  const swapped = {
    ...product,
    ...{ m: product.n, n: product.m, a: product.b, b: product.a, aByK: product.bByK, bByK: product.aByK },
    turned: true,
  };
  const tiles = ({ m, n }: Product) => Math.ceil(m / rows) * Math.ceil(n / columns);
  return tiles(swapped) < tiles(plain) ? [swapped, plain] : [plain, swapped];
}

/** Splits the sum where c alone has too few tiles to fill a GPU; how often depends on the lengths alone. */
function runTile(gpu: Gpu, product: Product, size: number, tile = matmulTile): void {
  const { m, n, k, batch, aByK, bByK, a, b, c } = product;
  const tiles = Math.ceil(m / size) * Math.ceil(n / size) * batch;
  const wanted = Math.max(1, Math.min(Math.ceil(k / 128), Math.floor(128 / tiles)));
  const span = Math.max(16, Math.ceil(k / wanted / 16) * 16);
  const splits = Math.max(1, Math.ceil(k / span));
  const byFours = b.dtype !== "f32" && (bByK ? n : k) % 4 === 0;
  const spec = tile({ size, aByK, bByK, dtype: b.dtype, byFours });
  const last = { accumulate: Number(product.accumulate), scale: product.scale };
  if (splits === 1) return gpu.run(spec, [a, b, c], { m, n, k, batch, splits, span, ...last });
  const partial = gpu.tensor([batch, splits, m, n]);
  gpu.run(spec, [a, b, partial], { m, n, k, batch, splits, span, accumulate: 0, scale: 1 });
  gpu.run(matmulSum, [partial, c], { size: m * n, batch, splits, ...last });
  partial.dispose();
}

/** Of what is not f32 `matmul_block` would widen each element by itself; `matmul_tile` widens fours. */
function runBlock(gpu: Gpu, product: Product, size: number): void {
  if (product.b.dtype === "f32") runTile(gpu, product, size, matmulBlock);
  else runTile(gpu, product, 64);
}

/** Contests for `autotune`: the products of a decoder's layers, forward and backward, one contest a class. */
export function matmulContests(gpu: Gpu): Contest[] {
  const shapes: Record<MatmulClass, Pick<Product, "m" | "n" | "k">> = {
    "matmul.skinny": { m: 1024, n: 8, k: 256 },
    "matmul.small": { m: 512, n: 64, k: 64 },
    "matmul.medium": { m: 1024, n: 256, k: 128 },
    "matmul.large": { m: 768, n: 768, k: 768 },
  };
  return Object.entries(shapes).map(([key, { m, n, k }]) => {
    const best = defaultMatmulVariant(gpu, key as MatmulClass);
    const family = best.replace(/\d.*$/, "");
    const candidates = matmulVariants(gpu).filter((name) => name.startsWith(family) && name !== best);
    const repeats = Math.ceil(2 ** 27 / (m * n * k));
    return {
      key,
      candidates: [best, ...candidates],
      record(gpu) {
        for (const [aByK, bByK] of [[false, false], [false, true], [true, true]]) {
          const [a, b, c] = [gpu.tensor([m, k]), gpu.tensor([n, k]), gpu.tensor([m, n])];
          gpu.clear(a); // what the pool's last user left may be subnormal, which is slow
          gpu.clear(b);
          for (let i = 0; i < repeats; i++) {
            runMatmul(gpu, { m, n, k, batch: 1, aByK, bByK, a, b, c, accumulate: false, scale: 1 });
          }
        }
      },
    };
  });
}
