import { linearRule } from "../autograd/linear.ts";
import { addRule, affineRule, scaleColumnsRule } from "../autograd/rules.ts";
import type { Tape, Variable } from "../autograd/tape.ts";
import { type HostTensor, hostTensor } from "../core/host_tensor.ts";
import { Rng } from "../core/rng.ts";
import type { LayerForm, LayerTarget, Method } from "./method.ts";
import { RankBudget } from "./rank_budget.ts";

/** Standard deviation of the factors at the start. */
const DEVIATION = 0.02;

/** Normal numbers of a tensor's own stream. */
export function normal(
  { module, config: { seed, method } }: LayerTarget,
  name: string,
  shape: readonly [number, number],
): [string, HostTensor] {
  const rng = new Rng(seed, `${method} ${module} ${name}`);
  const values = Float32Array.from({ length: shape[0] * shape[1] }, () => DEVIATION * rng.normal());
  return [name, hostTensor(shape, values)];
}

/** `y = W x + s P diag(e) Q x'` for x `[n, in]` and x' what dropout leaves of it, P `[out, r]`, e `[1, r]`, Q `[r, in]`. */
export function singularBranch(
  tape: Tape,
  { x, dropped, w }: { x: Variable; dropped: Variable; w: Variable },
  { p, e, q }: { p: Variable; e: Variable; q: Variable },
  scale: number,
): Variable {
  const [scaled] = tape.apply(scaleColumnsRule, [p, e], null);
  if (dropped === x) return tape.apply(linearRule, [x, w, q, scaled], { adapter: { scale } })[0];
  const [y] = tape.apply(linearRule, [x, w], {});
  const [hidden] = tape.apply(linearRule, [dropped, q], {});
  const [weighted] = tape.apply(affineRule, [hidden], { scale, offset: 0 });
  const [added] = tape.apply(linearRule, [weighted, scaled], {});
  return tape.apply(addRule, [y, added], null)[0];
}

const form: LayerForm = {
  takesDropout: true,
  takesAlpha: true,

  start(target) {
    const { out, in: width, config: { rank } } = target;
    return new Map([
      ["e", hostTensor([1, rank], new Float32Array(rank))],
      normal(target, "p", [out, rank]),
      normal(target, "q", [rank, width]),
    ]);
  },

  apply(tape, inputs, tensors, { config: { alpha, rank } }) {
    const factors = { p: tensors("p"), e: tensors("e"), q: tensors("q") };
    return singularBranch(tape, inputs, factors, alpha / rank);
  },

  course: (parameters, targets) =>
    new RankBudget(parameters, targets, {
      scored: { p: "columns", q: "rows" },
      orthonormal: ["p", "q"],
    }),

  triplets: (tensors) => ({ p: tensors("p"), e: tensors("e"), q: tensors("q") }),
};

/**
 * AdaLoRA: y = W x + s P diag(e) Q x, P and Q drawn to orthonormal columns and rows, so that e are singular values; from
 * `rank` of them a layer, the least important ones over all layers are cut down to `targetRank` a layer on average
 * (`RankBudget`). e starts at zero, P and Q normal with deviation 0.02. r (m + n + 1) numbers are trained for a weight
 * `[m, n]`. Losses that are reported are those of the task, without the orthogonality's.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eqs. (3) to (12) and algorithm 1: importance is taken before the update
 * it belongs to, the cut is made after it; PEFT takes both after it. Deviations: s = α / r with the rank at the start (PEFT:
 * α / (r + 1e-5)); the orthogonality's norm (`Orthogonality`); at a cut exactly as many are kept as the budget says, also
 * where scores are equal; the last cut is at the budget's end whatever the interval, as in PEFT. Warm-ups of a tenth and
 * three tenths of the steps and cuts every 10 are our own defaults; the paper has others for each data set.
 */
export const adalora: Method = {
  name: "adalora",
  startsAtZero: true,
  takes: ["targetRank", "initWarmup", "finalWarmup", "maskInterval", "orthogonality"],
  layer: form,
  start: () => Promise.resolve([]),
};
