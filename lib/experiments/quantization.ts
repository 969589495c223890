import { changeOf } from "../adapters/adapter.ts";
import { attachQuantized, type QuantizedAdapter } from "../adapters/quantized.ts";
import type { QuantizedDType } from "../core/quantize.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { singularValues } from "../linalg/singular_values.ts";
import type { Model } from "../nn/model.ts";
import type { TokenBatch } from "../nn/score.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { meanLoss } from "../train/evaluate.ts";

/** What a quantised base and a start leave of W, before any training. */
export interface QuantizationError {
  /** What the linear layers are quantised to. */
  readonly dtype: QuantizedDType;
  /** "none" for plain quantisation, else the method that makes the factors. */
  readonly start: string;
  /** Rank r of the factors; 0 for "none". */
  readonly rank: number;
  /** ‖W − W̃‖ (Frobenius) over all layers together. */
  readonly frobenius: number;
  /** Sum of the singular values of W − W̃ (nuclear norm), summed over layers. */
  readonly nuclear: number;
  /** `frobenius` over that of plain quantisation. */
  readonly relativeFrobenius: number;
  /** `nuclear` over that of plain quantisation. */
  readonly relativeNuclear: number;
  /** Mean loss on the given text, nats per token. */
  readonly loss: number;
  /** The same norms layer by layer. */
  readonly layers: readonly LayerError[];
}

/** What is left of one W. */
export interface LayerError {
  /** Path of the module. */
  readonly module: string;
  /** ‖W − W̃‖ (Frobenius). */
  readonly frobenius: number;
  /** Sum of the singular values of W − W̃. */
  readonly nuclear: number;
  /** `frobenius` over that of plain quantisation. */
  readonly relativeFrobenius: number;
  /** `nuclear` over that of plain quantisation. */
  readonly relativeNuclear: number;
}

/** Options of `quantizationErrors`. */
export interface QuantizationOptions {
  /** Formats. */
  dtypes: readonly QuantizedDType[];
  /** Methods that start away from zero, or "loftq", see `attachQuantized`. */
  starts: readonly string[];
  /** Ranks. */
  ranks: readonly number[];
  /** Layers that get factors, as for `attach`, and that are measured; all linear layers are quantised. Default "all-linear". */
  targets?: string | readonly string[];
  /** s = α / r, dimensionless; default 1. Of olora it decides how much is taken from W before it is quantised. */
  scale?: number;
  /** Text that the loss is taken on. */
  batches: readonly (TokenBatch & { readonly count: number })[];
}

/**
 * How far the function that a quantised base starts training with is from the unquantised model: for each format plain
 * quantisation, then each start at each rank, W̃ = Q + s B A in the layers that are targets.
 *
 * Norms are those of W − W̃ with W̃ as the device makes it in f32; the singular values are taken on the host in float64,
 * off by a few min(out, in) eps of the largest.
 *
 * Source: the measure is that of PEFT's tests of PiSSA and OLoRA on quantised models (nuclear norm) and of Li et al. 2023,
 * arXiv:2310.08659v4, eq. (6) (Frobenius).
 *
 * @throws {RangeError} As `attachQuantized` does.
 */
export async function* quantizationErrors(
  model: Model,
  options: QuantizationOptions,
): AsyncGenerator<QuantizationError> {
  const { dtypes, starts, ranks, targets = "all-linear", scale = 1, batches } = options;
  const { gpu } = model;
  for (const dtype of dtypes) {
    let plain: QuantizationError | undefined;
    const settings = starts.flatMap((start) => ranks.map((rank) => ({ start, rank })));
    for (const { start, rank } of [{ start: "none", rank: 0 }, ...settings]) {
      // LoRA starts with B = 0: on a quantised base it is plain quantisation.
      const made = await attachQuantized(model, {
        dtype,
        ...(rank ? { method: start, rank, alpha: scale * rank } : { method: "lora", rank: 1 }),
        targets,
      });
      try {
        const norms = await layerNorms(gpu, model, made);
        const frobenius = Math.hypot(...norms.map((layer) => layer.frobenius));
        const nuclear = norms.reduce((sum, layer) => sum + layer.nuclear, 0);
        const row: QuantizationError = {
          ...{ dtype, start, rank, frobenius, nuclear },
          relativeFrobenius: frobenius / (plain?.frobenius ?? frobenius),
          relativeNuclear: nuclear / (plain?.nuclear ?? nuclear),
          loss: (await meanLoss(made.model, batches)).mean,
          layers: norms.map((layer, i) => ({
            ...layer,
            relativeFrobenius: layer.frobenius / (plain?.layers[i] ?? layer).frobenius,
            relativeNuclear: layer.nuclear / (plain?.layers[i] ?? layer).nuclear,
          })),
        };
        plain ??= row;
        yield row;
      } finally {
        made.adapter[Symbol.dispose]();
        made.model[Symbol.dispose]();
      }
    }
  }
}

async function layerNorms(gpu: Gpu, model: Model, { model: quantized, adapter }: QuantizedAdapter) {
  const norms: Pick<LayerError, "module" | "frobenius" | "nuclear">[] = [];
  for (const [module, branch] of adapter.branches) {
    const name = `${module}.weight`;
    const w = model.weights.get(name)!;
    const [m, n] = w.shape;
    using merged = effectiveWeight(gpu, quantized.weights.get(name)!, changeOf(branch));
    const values = await gpu.read(merged);
    const lost = Float64Array.from(await gpu.read(w), (x, i) => x - values[i]);
    const s = singularValues(lost, { m, n });
    norms.push({ module, frobenius: Math.hypot(...s), nuclear: s.reduce((sum, x) => sum + x, 0) });
  }
  return norms;
}
