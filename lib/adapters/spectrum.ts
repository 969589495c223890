import type { Tensor } from "../gpu/tensor.ts";
import { requireFinite } from "../linalg/finite.ts";
import { type Svd, svd } from "../linalg/svd.ts";
import { svdOfProduct } from "../linalg/svd_product.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { weightSvd } from "./singular.ts";
import { layerWeight } from "./layer_weight.ts";
import { type Adapter, changeOf } from "./adapter.ts";

/** What training made of one weight: the spectrum of dW, its effective change, beside W. */
export interface LayerSpectrum {
  /** Path of the module, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** ‖dW‖ (Frobenius). */
  readonly norm: number;
  /** ‖dW‖ / ‖W‖; NaN where W is zero. */
  readonly relativeNorm: number;
  /**
   * Singular values of dW, descending: min(out, in) of them, or 2 r (r without B₀ A₀) where that is fewer and rows have no
   * magnitude.
   */
  readonly singularValues: readonly number[];
  /** Effective rank of dW, from 1 to the number of its singular values; 0 where dW is zero. */
  readonly effectiveRank: number;
  /** How far the factors are from orthonormal, ‖A Aᵀ − I‖ and ‖Bᵀ B − I‖ (Frobenius); none for "full". */
  readonly drift?: { readonly a: number; readonly b: number };
  /** Where dW lies among the singular spaces of W, unless left out. */
  readonly overlap?: { readonly left: Overlap; readonly right: Overlap };
}

/** Share of dW's first singular vectors inside singular spaces of W, 0 to 1; NaN where dW is zero. */
export interface Overlap {
  /** Inside the space of W's r largest singular values; r / out (left) or r / in (right) for a random dW. */
  readonly top: number;
  /** Inside that of its r smallest, of the min(out, in) that it has. */
  readonly bottom: number;
}

/** Options of `spectrum`. */
export interface SpectrumOptions {
  /**
   * Whether to compare dW with the singular spaces of W. It takes W's own SVD on the host, kept for further calls: about
   * 30 out · in · min(out, in) flops a weight, a quarter of a second at 128 × 128, minutes at 1024 × 1024. Default true.
   */
  overlap?: boolean;
  /** Singular vectors compared. Default: the adapter's rank, or 8 for "full". */
  rank?: number;
}

/**
 * The spectrum of each adapted weight's change dW = s (B A − B₀ A₀), against the model's own weights W, which are never
 * changed; for "full" and where rows have a magnitude, dW = W' − W of each matrix (norms, which are vectors, are left out).
 *
 * dW is taken as the product s [B − B₀, B₀] [A; A − A₀], which is zero where nothing has moved, and never formed: the
 * SVD of the left factor, then that of what remains (`svdOfProduct`), in float64 on the host.
 *
 * Source: effective rank exp(−Σ p log p), p = σ / Σ σ: Roy and Vetterli 2007, "The effective rank: a measure of
 * effective dimensionality", EUSIPCO. Overlap ‖Uᵀ V‖² / k of dW's first k singular vectors U and r of W's, V: Hu et al.
 * 2021, arXiv:2106.09685v2, §7.2, eq. (4); k is r, or the number of singular values of dW that are not zero to rounding
 * where those are fewer.
 *
 * @throws {RangeError} If a factor or weight holds NaN or infinity, or `rank` is no whole number from 1 to the smallest
 * side of an adapted weight.
 */
export async function spectrum(adapter: Adapter, options: SpectrumOptions = {}): Promise<LayerSpectrum[]> {
  const { model, parameters, branches, layers: others } = adapter;
  const { overlap = true, rank = adapter.config.rank || 8 } = options;
  const read = async (tensor: Tensor) => await model.gpu.read(tensor);
  const modules = branches.size || others.size
    ? [...branches.keys(), ...others.keys()]
    : parameters.names.filter((name) => parameters.get(name)!.value.shape.length === 2)
      .map((name) => name.replace(/\.weight$/, ""));
  const weights = modules.map((module) => model.weights.get(`${module}.weight`)!);
  weights.forEach(({ shape }, i) => checkRank(rank, Math.min(...shape), modules[i]));
  const trained = others.size
    ? parameters.names.map((name) => ({ name, w: parameters.get(name)!.value }))
    : branches.size
    ? modules.flatMap((module) => {
      const { a, b, magnitude: m } = branches.get(module)!;
      return [
        { name: `${module} A`, w: a.value },
        { name: `${module} B`, w: b.value },
        ...(m ? [{ name: `${module} m`, w: m.value.view([1, m.value.size]) }] : []),
      ];
    })
    : modules.map((module) => ({ name: module, w: parameters.get(`${module}.weight`)!.value }));
  const frozen = modules.map((module, i) => ({ name: `the base's ${module}`, w: weights[i] }));
  await requireFinite(model.gpu, "compute the spectrum of", [...trained, ...frozen]);

  const layers: LayerSpectrum[] = [];
  for (const [i, module] of modules.entries()) {
    const [m, n] = weights[i].shape;
    const w = await read(weights[i]);
    const branch = adapter.branch(module);
    const factors = branch && {
      a: await read(branch.a.value),
      b: await read(branch.b.value),
      ...(branch.start && { a0: await read(branch.start.a), b0: await read(branch.start.b) }),
    };
    const r = branch?.a.value.shape[0] ?? 0;
    let change: Svd;
    if (factors && !branch.magnitude) change = lowRank(m, n, r, branch.scale, factors);
    else {
      const other = adapter.layer(module);
      using merged = branch
        ? effectiveWeight(model.gpu, weights[i], changeOf(branch))
        : other && layerWeight(model.gpu, other, weights[i]);
      change = svd(difference(await read(merged ?? parameters.get(`${module}.weight`)!.value), w), { m, n });
    }
    const values = [...change.s];
    const norm = Math.hypot(...values);
    layers.push({
      module,
      norm,
      relativeNorm: norm / length(w),
      singularValues: values,
      effectiveRank: effectiveRank(values),
      ...(factors && {
        drift: { a: drift(factors.a, r, n, "rows"), b: drift(factors.b, r, m, "columns") },
      }),
      ...(overlap && { overlap: overlaps(change, await weightSvd(model.gpu, weights[i]), { m, n, rank }) }),
    });
  }
  return layers;
}

/** exp of the entropy of the singular values' shares; 0 of zeros. */
export function effectiveRank(singularValues: readonly number[]): number {
  const total = singularValues.reduce((sum, x) => sum + x, 0);
  if (!total) return 0;
  const shares = singularValues.map((x) => x / total).filter((p) => p > 0);
  return Math.exp(-shares.reduce((sum, p) => sum + p * Math.log(p), 0));
}

interface HostFactors {
  a: Float32Array;
  b: Float32Array;
  a0?: Float32Array;
  b0?: Float32Array;
}

/** SVD of `s (B A − B₀ A₀)` from its factors. */
function lowRank(m: number, n: number, r: number, scale: number, { a, b, a0, b0 }: HostFactors): Svd {
  const width = b0 && a0 ? 2 * r : r;
  const left = new Float64Array(m * width);
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < r; k++) {
      left[i * width + k] = scale * (b[i * r + k] - (b0?.[i * r + k] ?? 0));
      if (b0) left[i * width + r + k] = scale * b0[i * r + k];
    }
  }
  const right = new Float64Array(width * n);
  right.set(a);
  if (a0) a.forEach((x, at) => right[r * n + at] = x - a0[at]);
  return svdOfProduct(left, right, { m, n, k: width });
}

function overlaps(change: Svd, weight: Svd, { m, n, rank }: { m: number; n: number; rank: number }) {
  const [k, all] = [change.s.length, weight.s.length];
  const rounding = Number.EPSILON * Math.max(m, n) * change.s[0];
  const count = Math.min(rank, change.s.filter((s) => s > rounding).length);
  const share = (x: Float64Array, y: Float64Array, rows: number, first: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      for (let j = first; j < first + rank; j++) {
        let dot = 0;
        for (let row = 0; row < rows; row++) dot += x[row * k + i] * y[row * all + j];
        sum += dot * dot;
      }
    }
    return sum / count;
  };
  const both = (x: Float64Array, y: Float64Array, rows: number): Overlap => ({
    top: share(x, y, rows, 0),
    bottom: share(x, y, rows, all - rank),
  });
  return { left: both(change.u, weight.u, m), right: both(change.v, weight.v, n) };
}

/** ‖Gram matrix − I‖ of the `r` rows of x `[r, length]`, or of the `r` columns of x `[length, r]`. */
function drift(x: Float32Array, r: number, size: number, of: "rows" | "columns"): number {
  const at = (k: number, i: number) => of === "rows" ? x[k * size + i] : x[i * r + k];
  let squares = 0;
  for (let k = 0; k < r; k++) {
    for (let l = 0; l < r; l++) {
      let dot = k === l ? -1 : 0;
      for (let i = 0; i < size; i++) dot += at(k, i) * at(l, i);
      squares += dot * dot;
    }
  }
  return Math.sqrt(squares);
}

function difference(x: Float32Array, y: Float32Array): Float64Array {
  return Float64Array.from(x, (value, i) => value - y[i]);
}

function length(x: Float32Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}

function checkRank(rank: number, limit: number, module: string): void {
  if (Number.isSafeInteger(rank) && rank >= 1 && rank <= limit) return;
  throw new RangeError(
    `Cannot compute spectrum with rank ${rank}: expected a whole number from 1 to min(out, in) = ${limit} for ${module}`,
  );
}
