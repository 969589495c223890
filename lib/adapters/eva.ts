import { Rng } from "../core/rng.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Axes, stacked } from "../linalg/incremental_svd.ts";
import { isSmall, leading } from "../linalg/leading.ts";
import { svd } from "../linalg/svd.ts";
import { layerInputs } from "./activations.ts";
import type { Method, StartContext, Target } from "./method.ts";

/** Rounds of subspace iteration, as in PEFT. */
const ITERATIONS = 4;

/** Axes by layer of what a start looked at: ranks come from them before the factors do. */
const seen = new WeakMap<StartContext, ReadonlyMap<string, Axes>>();

/**
 * EVA: A₀ is the axes in which most of the variance of a layer's input lies, B₀ = 0; both are trained. The ranks
 * go where most is explained: of all layers' axes, each with its share of its layer's variance, the Σ r largest
 * shares are taken, of one layer at most ρ r, and none where none is left; α follows the rank, so that s is the
 * same everywhere.
 *
 * The axes are right singular vectors of the inputs about their mean, by incremental decomposition from batch to
 * batch with ρ r of them kept, of the tokens that another is predicted from; each batch counts once. Layers of one
 * input share them.
 *
 * Source: Paischer et al. 2024, arXiv:2410.07170, §3 and algorithm 1, as PEFT's `eva` with its defaults has it.
 * Deviations: PEFT goes through the data until axes no longer turn; here the given batches are what counts. A
 * layer's rank is at most min(out, in). Where equal shares are cut, layers in the order of the model come first,
 * in PEFT any. PEFT takes the tokens that are predicted.
 */
export const eva: Method = {
  name: "eva",
  peft: "eva",
  startsAtZero: true,
  takes: ["freeze", "rho"],
  batches: 8,

  async ranks(targets, settings, context) {
    const most = targets.map(({ out, in: width }, i) => {
      const { rank, rho = 2 } = settings[i];
      return Math.min(Math.round(rank * rho), out, width);
    });
    const axes = await axesOf(targets, most, settings[0].seed, context);
    seen.set(context, axes);
    const shares = targets.map(({ module }, i) => {
      const { s, scatter, count } = axes.get(module)!;
      if (s.length >= settings[i].rank) {
        return [...s.subarray(0, most[i])].map((x) => scatter ? x * x / scatter : 0);
      }
      throw new RangeError(
        `Cannot start eva: found ${count} tokens in the batches, expected at least the rank ${
          settings[i].rank
        } of ${module}`,
      );
    });
    return distribute(shares, settings.reduce((sum, { rank }) => sum + rank, 0));
  },

  start(gpu, targets, { rank }, context) {
    const axes = seen.get(context!)!;
    return Promise.resolve(targets.map(({ module, out, in: width }) => ({
      a: gpu.keep(
        gpu.upload(Float32Array.from(axes.get(module)!.v.subarray(0, rank * width)), [rank, width]),
      ),
      b: gpu.keep(gpu.upload(new Float32Array(out * rank), [out, rank])),
    })));
  },
};

/** How many of each layer's shares are among the `budget` largest; of equal ones the earlier axis, then the earlier layer. */
export function distribute(shares: readonly (readonly number[])[], budget: number): number[] {
  const ranks = shares.map(() => 0);
  shares.flatMap((of, layer) => of.map((share, axis) => ({ share, axis, layer })))
    .sort((x, y) => y.share - x.share || x.axis - y.axis || x.layer - y.layer)
    .slice(0, budget)
    .forEach(({ layer }) => ranks[layer]++);
  return ranks;
}

/** The axes of each layer's input on all batches. */
async function axesOf(
  targets: readonly Target[],
  most: readonly number[],
  seed: number,
  { model, batches }: StartContext,
): Promise<Map<string, Axes>> {
  const wanted = new Map(targets.map(({ module }, i) => [module, most[i]]));
  const axes = new Map<string, Axes>();
  for (const batch of batches) {
    for await (const { modules, width, rows } of layerInputs(model, new Set(wanted.keys()), batch)) {
      if (!rows.length) continue;
      const k = Math.max(...modules.map((module) => wanted.get(module)!));
      const rng = new Rng(seed, `eva ${modules[0]}`);
      const found = await extended(
        model.gpu,
        rows,
        { name: modules[0], n: width, k, rng },
        axes.get(modules[0]),
      );
      for (const module of modules) axes.set(module, found);
    }
  }
  return axes;
}

/** k axes of the rows and of those before them. */
async function extended(
  gpu: Gpu,
  rows: Float32Array,
  { name, n, k, rng }: { name: string; n: number; k: number; rng: Rng },
  before?: Axes,
): Promise<Axes> {
  const { matrix, ...known } = stacked(rows, n, before);
  const m = matrix.length / n;
  const at = matrix.findIndex((x) => !Number.isFinite(x));
  if (at >= 0) {
    throw new RangeError(
      `Cannot decompose the input of ${name}: found ${matrix[at]}, expected finite numbers`,
    );
  }
  const decomposed = async () => {
    if (isSmall(m, n, 2 * k)) return svd(matrix, { m, n });
    using w = gpu.upload(Float32Array.from(matrix), [m, n]);
    return await leading(gpu, { name: `the input of ${name}`, w }, {
      columns: 2 * k,
      iterations: ITERATIONS,
      rng,
    });
  };
  const { s, v } = await decomposed();
  const width = s.length;
  const kept = Math.min(k, width);
  const axes = new Float64Array(kept * n);
  for (let i = 0; i < kept; i++) {
    let largest = 0;
    for (let j = 0; j < n; j++) {
      if (Math.abs(v[j * width + i]) > Math.abs(largest)) largest = v[j * width + i];
    }
    for (let j = 0; j < n; j++) axes[i * n + j] = Math.sign(largest) * v[j * width + i];
  }
  return { ...known, s: s.slice(0, kept), v: axes };
}
