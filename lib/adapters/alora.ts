import { hostTensor } from "../core/host_tensor.ts";
import { Rng } from "../core/rng.ts";
import { singularBranch } from "./adalora.ts";
import type { LayerForm, Method } from "./method.ts";
import { RankAllocation, slotsOf } from "./rank_allocation.ts";

const form: LayerForm = {
  takesDropout: true,
  takesAlpha: true,

  start(target) {
    const { module, out, in: width, config: { seed } } = target;
    const slots = slotsOf(target);
    const rng = new Rng(seed, `alora ${module}`);
    const limit = 1 / Math.sqrt(width);
    const a = Float32Array.from({ length: slots * width }, () => (2 * rng.uniform() - 1) * limit);
    return new Map([
      ["a", hostTensor([slots, width], a)],
      ["b", hostTensor([out, slots], new Float32Array(out * slots))],
    ]);
  },

  apply(tape, inputs, tensors, { config: { alpha, rank } }) {
    const factors = { p: tensors("b"), e: tensors("gates"), q: tensors("a") };
    return singularBranch(tape, inputs, factors, alpha / rank);
  },

  course: (parameters, targets) => new RankAllocation(parameters, targets),

  triplets: (tensors) => ({ p: tensors("b"), e: tensors("gates"), q: tensors("a") }),
};

/**
 * ALoRA: y = W x + s B diag(g) A x with gates g of zeros and ones, B `[out, slots]`, A `[slots, in]`; of the `maxRank` slots
 * of a layer `rank` are open at the start, and between updates the `moves` least important ranks of all layers are given
 * to layers that lost none (`RankAllocation`), so that the open ones are always as many as at the start. A starts as
 * `lora`'s, B at zero. There is room for, and `trainable` counts, maxRank (m + n) numbers for a weight `[m, n]`; those of
 * open ranks are trained, rank (m + n) a layer on average.
 *
 * The importance of a rank (AB-LoRA) is S(M) − S(M without it) + S(M with it alone of all ranks of all layers), S the
 * negative loss. A rank that is added keeps the function, here bit for bit, as its column of B is zero. A rank that is taken
 * away changes it, in the paper as here: W x + s B diag(g) A x loses that rank's product.
 *
 * Source: Liu et al. 2024, arXiv:2403.16187, the gates, AB-LoRA and algorithm 1, whose first training is `initWarmup` here
 * and whose later ones are `maskInterval` updates each; by default as many ranks are moved at a time as there are layers, as
 * in the paper, and at most as often, eight times.
 * No code of the authors was found. Deviations: the losses are those of the next update's batches in place of one batch of
 * validation data; a layer has room for `maxRank` ranks (by default twice the rank), since its tensors do not grow, and
 * fewer ranks are moved where those that would get them are full; layers that lost none get one each in turns, also where
 * they are fewer than the ranks moved; s stays α / r with the rank at the start; a slot that is opened again starts with the
 * row of A that it had, which weight decay acts on meanwhile. Adam's bias correction goes on for new ranks. Warm-ups of a
 * tenth and three tenths of the steps are our own defaults.
 */
export const alora: Method = {
  name: "alora",
  startsAtZero: true,
  takes: ["initWarmup", "finalWarmup", "maskInterval", "maxRank", "moves"],
  layer: form,
  start: () => Promise.resolve([]),
};
