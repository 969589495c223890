import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { requireFinite } from "../linalg/finite.ts";
import { columnPivots } from "../linalg/pivots.ts";
import { qrAll } from "../linalg/qr.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { matmul } from "../ops/matmul.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { Factors, Method, Target } from "./method.ts";

/**
 * OLoRA: W = Q R, B₀ the first r columns of Q, A₀ the first r rows of R; both are trained.
 *
 * Source: Büyükakyüz 2024, arXiv:2406.01775v2, and the author's code in PEFT (`olora_init`). Deviations: the base
 * stays W and the adapter computes W + s (B A − B₀ A₀), the same function and gradients as W_res = W − s B₀ A₀; only
 * the first r columns of W are factored, which gives the same Q_r and R_r; signs are such that diag(R) ≥ 0.
 *
 * The other bases, `balance`, `subtract` and `keep` are controls of our own: they tell what orthonormality, the choice
 * of columns, and the size of the factors each do. "pivoted" is Businger and Golub 1965; "random" is the range finder
 * of Halko, Martinsson and Tropp 2011 without W in the sketch.
 */
export const olora: Method = {
  name: "olora",
  peft: "olora",
  startsAtZero: false,
  takes: ["freeze", "basis", "balance", "subtract", "keep", "magnitude"],
  async start(gpu, targets, config) {
    const { basis = "first", balance = 1, rank } = config;
    let factors: Factors[];
    if (basis === "first") {
      const matrices = targets.map(({ module, w }) => ({ name: module, w }));
      factors = (await qrAll(gpu, matrices, { columns: rank })).map(({ q, r }) => ({ a: r, b: q }));
    } else {
      factors = await fromPanels(gpu, targets, config);
    }
    if (balance === 1) return factors;
    return factors.map(({ a, b }) => {
      using before = a;
      using beforeB = b;
      return { a: scaled(gpu, before, 1 / balance), b: scaled(gpu, beforeB, balance) };
    });
  },
};

/** Factors from an orthonormal basis of chosen columns (or rows) of W, and what W leaves for the other factor. */
async function fromPanels(gpu: Gpu, targets: readonly Target[], config: AdapterConfig): Promise<Factors[]> {
  await requireFinite(gpu, "factor", targets.map(({ module, w }) => ({ name: module, w })));
  const factors: Factors[] = [];
  for (const target of targets) {
    using w = target.w.dtype === "f32" ? undefined : effectiveWeight(gpu, target.w);
    const dense = w ?? target.w;
    using panel = await panelOf(gpu, { ...target, w: dense }, config);
    const [{ q, r }] = await qrAll(gpu, [{ name: target.module, w: panel }]);
    r.dispose();
    if (config.basis !== "rows") {
      factors.push({ a: gpu.keep(matmul(gpu, "tn", q, dense)), b: q });
      continue;
    }
    using basis = q;
    using one = identity(gpu, config.rank);
    factors.push({
      a: gpu.keep(matmul(gpu, "nt", one, basis)),
      b: gpu.keep(matmul(gpu, "nn", dense, basis)),
    });
  }
  return factors;
}

/** The columns to be made orthonormal, f32 `[out, r]`; for "rows" the first r rows of W as columns, `[in, r]`. */
async function panelOf(gpu: Gpu, target: Target, { basis, rank, seed }: AdapterConfig): Promise<Tensor> {
  const { module, w, out, in: width } = target;
  if (basis === "rows") {
    using one = identity(gpu, rank);
    return matmul(gpu, "tn", w.view([rank, width]), one);
  }
  const rng = new Rng(seed, `olora ${module}`);
  if (basis === "random") {
    return gpu.upload(Float32Array.from({ length: out * rank }, () => rng.normal()), [out, rank]);
  }
  const columns = basis === "last"
    ? Array.from({ length: rank }, (_, i) => width - rank + i)
    : basis === "permuted"
    ? rng.shuffle(Array.from({ length: width }, (_, i) => i)).slice(0, rank)
    : columnPivots(await gpu.read(w), [out, width], rank);
  const pick = new Float32Array(width * rank);
  columns.forEach((column, i) => pick[column * rank + i] = 1);
  using selection = gpu.upload(pick, [width, rank]);
  return matmul(gpu, "nn", w, selection);
}

function identity(gpu: Gpu, n: number): Tensor {
  const values = new Float32Array(n * n);
  for (let i = 0; i < n; i++) values[i * (n + 1)] = 1;
  return gpu.upload(values, [n, n]);
}

/** `factor · x`, as a product with the identity: each sum has one term that is not zero. */
function scaled(gpu: Gpu, x: Tensor, factor: number): Tensor {
  using one = identity(gpu, x.shape[1]);
  return gpu.keep(matmul(gpu, "nn", x, one, { scale: factor }));
}
