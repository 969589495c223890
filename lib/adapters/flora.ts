import { linearRule } from "../autograd/linear.ts";
import { cycleRule, foldRule, reshapeRule, scaleColumnsRule } from "../autograd/rules.ts";
import type { Tape, Variable } from "../autograd/tape.ts";
import { type HostTensor, hostTensor } from "../core/host_tensor.ts";
import { Rng } from "../core/rng.ts";
import { isTarget } from "../io/peft_targets.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { LayerForm, LayerTarget, Method } from "./method.ts";

/**
 * `y = Σₖ aₖ ∘ W (bₖ ∘ x)` = (W ∘ Σₖ aₖ bₖᵀ) x, as one product with W for all k; and for all texts, each of which may have
 * factors of its own.
 *
 * @param x `[n, in]`.
 * @param w W `[out, in]`.
 * @param a aₖ side by side, `[g, r out]`: a row for each of g groups of n / g rows of x.
 * @param b bₖ, `[g, r in]`.
 */
export function floraLayer(
  tape: Tape,
  { x, w, a, b }: { x: Variable; w: Variable; a: Variable; b: Variable },
): Variable {
  const [n, width] = x.value.shape;
  const [out] = w.value.shape;
  const r = b.value.shape[1] / width;
  const [copies] = r === 1 ? [x] : tape.apply(cycleRule, [x], { wide: r * width });
  const [scaled] = tape.apply(scaleColumnsRule, [copies, b], null);
  const [rows] = tape.apply(reshapeRule, [scaled], { shape: [n * r, width] });
  const [products] = tape.apply(linearRule, [rows, w], {});
  const [beside] = tape.apply(reshapeRule, [products], { shape: [n, r * out] });
  const [parts] = tape.apply(scaleColumnsRule, [beside, a], null);
  return r === 1 ? parts : tape.apply(foldRule, [parts], { d: out })[0];
}

/** A and B of a layer: 1 in their first row, so that W ∘ (A B) = W; random and 0 in the others. */
function factors({ module, out, in: width, config: { rank, seed } }: LayerTarget): [string, HostTensor][] {
  const rng = new Rng(seed, `flora ${module}`);
  const a = Float32Array.from({ length: rank * out }, (_, i) => i < out ? 1 : 2 * rng.uniform() - 1);
  const b = new Float32Array(rank * width).fill(1, 0, width);
  return [["a", hostTensor([1, rank * out], a)], ["b", hostTensor([1, rank * width], b)]];
}

/** The factor of one layer that stays at its start, if any: that of the layers of `feedforward` is A. */
export function frozenFactor(
  { freeze, feedforward = [] }: Pick<AdapterConfig, "freeze" | "feedforward">,
  module: string,
): "A" | "B" | undefined {
  return freeze && isTarget(feedforward, module) ? "A" : freeze;
}

/** Whether the factor called `name` is trained in that layer. */
function isTrained({ module, config }: LayerTarget, name: string): boolean {
  return name.toUpperCase() !== frozenFactor(config, module);
}

const form: LayerForm = {
  takesDropout: false,
  start: (target) => new Map(factors(target).filter(([name]) => isTrained(target, name))),
  constants: (target) => new Map(factors(target).filter(([name]) => !isTrained(target, name))),
  apply: (tape, { x, w }, tensors) => floraLayer(tape, { x, w, a: tensors("a"), b: tensors("b") }),
};

/**
 * FLoRA (batched LoRA): W is multiplied by a matrix of low rank entry by entry, W ∘ (A B), which a batch with another
 * adapter in each text computes by one product with W. At rank 1 with B frozen, in the layers of `feedforward` A, it is
 * IA³ (Liu et al. 2022, arXiv:2205.05638, §3.3), and is written as PEFT's.
 *
 * Source: Wen and Chaudhuri 2023, arXiv:2312.05677, eqs. (4) to (6). Deviation: the start, which is not stated there, is
 * W itself: ones in the first row of both factors; the others are random in A, in [−1, 1), and zero in B, or all rows
 * would have one gradient and stay alike. There is no α.
 *
 * At rank 1 an adapter that was just attached changes no bit. With more rows W meets r times as many columns in one product,
 * whose sums a kernel may take in another order: rounding, less than 1e-5 nats on the models of the tests. With another
 * adapter in each text: `scoreEach`.
 */
export const flora: Method = {
  name: "flora",
  startsAtZero: true,
  takes: ["freeze", "feedforward"],
  layer: form,
  start: () => Promise.resolve([]),
};
