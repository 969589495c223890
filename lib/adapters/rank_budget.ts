import type { Parameters } from "../autograd/parameters.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { addScaled } from "../ops/affine.ts";
import { importance } from "../ops/importance.ts";
import { matmul } from "../ops/matmul.ts";
import { scaleColumns } from "../ops/scale_columns.ts";
import type { Course, TrainingPlace } from "./course.ts";
import type { LayerTarget } from "./method.ts";
import type { MethodOptions } from "./options.ts";
import { Orthogonality } from "./orthogonality.ts";

/** β of both moving averages: the paper's, and PEFT's default. */
const BETA = 0.85;

/** Which tensors of a layer a budget of singular values looks at; `e`, `[1, r]`, is what it cuts. */
export interface BudgetedForm {
  /** Tensors whose importance counts beside that of `e`: `[m, r]` by its columns, or `[r, n]` by its rows. */
  readonly scored: Readonly<Record<string, "columns" | "rows">>;
  /** Matrices that are drawn to ones whose shorter side is orthonormal. */
  readonly orthonormal: readonly string[];
}

/** When a budget is cut. */
export interface BudgetPlan {
  /** Updates before the first cut. */
  readonly initWarmup: number;
  /** Updates after the last one. */
  readonly finalWarmup: number;
  /** Updates from one cut to the next. */
  readonly maskInterval: number;
}

/** The plan that `options` ask for in a training of `steps` updates. */
export function budgetPlan(options: MethodOptions, steps: number): BudgetPlan {
  const { initWarmup = Math.floor(steps / 10), finalWarmup = Math.floor(0.3 * steps), maskInterval = 10 } =
    options;
  return { initWarmup, finalWarmup, maskInterval };
}

/**
 * Singular values that are kept after update `step` of `steps`: `full` of them up to the warm-up's end, `target` from
 * `finalWarmup` updates before the end on, between the two falling with the cube of what is left of the way.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eq. (12), rounded down as in the authors' code and PEFT.
 */
export function budgetAt(
  { step, steps }: TrainingPlace,
  { full, target }: { full: number; target: number },
  { initWarmup, finalWarmup }: BudgetPlan,
): number {
  if (step <= initWarmup) return full;
  const end = steps - finalWarmup;
  if (step >= end) return target;
  const left = 1 - (step - initWarmup) / (end - initWarmup);
  return Math.floor((full - target) * left ** 3 + target);
}

/** A mask, 1 or 0, of the `count` largest of `scores`; of equal ones the first. */
export function largest(scores: readonly number[], count: number): Float32Array<ArrayBuffer> {
  const order = [...scores.keys()].sort((i, j) => scores[j] - scores[i] || i - j);
  const mask = new Float32Array(scores.length);
  for (const i of order.slice(0, count)) mask[i] = 1;
  return mask;
}

/**
 * A budget of singular values over all layers: their importance is followed on the device, and every `maskInterval`
 * updates the least important ones beyond the budget are set to zero. In between they may grow again; in the last
 * `finalWarmup` updates those that are out stay zero.
 *
 * The importance of a triplet is s(e) + mean s(its column or row of each other tensor), s = Ī Ū (`importance`). Only a cut
 * reads: one number for each triplet.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, algorithm 1 and eqs. (6) to (12).
 */
export class RankBudget implements Course {
  /** Ī and Ū of what is scored, and the mask of all e. */
  readonly state: ReadonlyMap<string, Tensor>;
  /** The mask of each layer, `[1, r]`, as `<module>.mask`. */
  readonly saved: ReadonlyMap<string, Tensor>;
  /** Numbers whose importance is followed. */
  readonly scores: number;
  readonly #parameters: Parameters;
  readonly #targets: readonly LayerTarget[];
  readonly #form: BudgetedForm;
  readonly #orthogonality: Orthogonality | undefined;
  /** Elements of the arena that hold all `e`, and those that hold all that is scored. */
  readonly #lengths: { e: number; scored: number };
  readonly #mean: Tensor;
  readonly #uncertainty: Tensor;
  readonly #mask: Tensor;
  #steps = 0;

  /** A budget before the first update; `e` and then what is scored must come first in the arena. */
  constructor(parameters: Parameters, targets: readonly LayerTarget[], form: BudgetedForm) {
    const { gpu } = parameters;
    const orthogonality = orthogonalityOf(targets[0].config);
    this.#parameters = parameters;
    this.#targets = targets;
    this.#form = form;
    const scored = ["e", ...Object.keys(form.scored)];
    this.#lengths = { e: this.#end(["e"]), scored: this.#end(scored) };
    this.scores = scored.reduce((sum, name) => sum + this.#all(name).reduce((n, { size }) => n + size, 0), 0);
    const zeros = (length: number) => gpu.keep(gpu.upload(new Float32Array(length), [length]));
    this.#mean = zeros(this.#lengths.scored);
    this.#uncertainty = zeros(this.#lengths.scored);
    const ones = new Float32Array(this.#lengths.e).fill(1);
    this.#mask = gpu.keep(gpu.upload(ones, [ones.length]));
    this.state = new Map([["importance", this.#mean], ["uncertainty", this.#uncertainty], [
      "mask",
      this.#mask,
    ]]);
    this.saved = new Map(
      targets.map(({ module }) => [`${module}.mask`, this.#part(this.#mask, module, "e")]),
    );
    const factors = targets.flatMap(({ module }) =>
      form.orthonormal.map((name) => parameters.get(`${module}.${name}`)!)
    );
    this.#orthogonality = orthogonality ? new Orthogonality(gpu, factors, orthogonality) : undefined;
  }

  /** Updates of the last training that it was checked for, 0 before any. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Whether there are updates between the warm-ups.
   *
   * @throws {RangeError} If not.
   */
  check(steps: number): void {
    const { initWarmup, finalWarmup } = this.#plan(steps);
    this.#steps = steps;
    if (steps === 0 || initWarmup + finalWarmup < steps) return;
    throw new RangeError(
      `Cannot train ${steps} steps with initWarmup ${initWarmup} and finalWarmup ${finalWarmup}: ` +
        `expected more steps than both, as the budget is cut in between`,
    );
  }

  /** Adds the gradient of the orthogonality, and moves the importance up to the last cut. */
  beforeUpdate({ step, steps }: TrainingPlace): void {
    const { gpu, data, gradient } = this.#parameters;
    this.#orthogonality?.addGradient();
    if (step > steps - this.#plan(steps).finalWarmup) return;
    const part = (tensor: Tensor) => tensor.view([this.#lengths.scored]);
    const tensors = { parameters: part(data), gradient: part(gradient) };
    importance(gpu, { ...tensors, mean: this.#mean, uncertainty: this.#uncertainty }, BETA);
  }

  /** Keeps at zero what the last cut left out. */
  afterUpdate({ step, steps }: TrainingPlace): void {
    if (step > steps - this.#plan(steps).finalWarmup) this.#cut();
  }

  /** Cuts, where a cut is due. */
  between(place: TrainingPlace): Promise<void> | undefined {
    const { step, steps } = place;
    const { initWarmup, finalWarmup, maskInterval } = this.#plan(steps);
    const end = steps - finalWarmup;
    const due = step === end || (step > initWarmup && step < end && step % maskInterval === 0);
    return due ? this.#choose(place) : undefined;
  }

  /** Frees the state. */
  [Symbol.dispose](): void {
    for (const tensor of this.state.values()) tensor.dispose();
    this.#orthogonality?.[Symbol.dispose]();
  }

  /** Reads the importance of all triplets, keeps as many as the budget allows, and cuts the others. */
  async #choose(place: TrainingPlace): Promise<void> {
    const { gpu } = this.#parameters;
    const all = await gpu.scope(() => gpu.read(this.#triplets()));
    const places = this.#all("e").flatMap(({ offset, size }) =>
      Array.from({ length: size }, (_, i) => offset / 4 + i)
    );
    const target = this.#targets.reduce((sum, { config }) => sum + targetRank(config), 0);
    const kept = largest(
      places.map((at) => all[at]),
      budgetAt(place, { full: places.length, target }, this.#plan(place.steps)),
    );
    const mask = new Float32Array(this.#lengths.e).fill(1);
    places.forEach((at, i) => mask[at] = kept[i]);
    gpu.write(this.#mask, mask);
    gpu.scope(() => this.#cut());
    gpu.flush();
  }

  /** The importance of each triplet, where `e` has its number. */
  #triplets(): Tensor {
    const { gpu } = this.#parameters;
    const row = (tensor: Tensor) => tensor.view([1, tensor.size]);
    const s = scaleColumns(gpu, row(this.#mean), row(this.#uncertainty));
    const sums = gpu.tensor([this.#lengths.e]);
    gpu.clear(sums);
    for (const { module } of this.#targets) {
      const sum = this.#part(sums, module, "e");
      addScaled(gpu, this.#part(s, module, "e"), 1, sum);
      for (const [name, side] of Object.entries(this.#form.scored)) {
        const part = this.#part(s, module, name);
        const length = part.shape[side === "columns" ? 0 : 1];
        const ones = gpu.upload(new Float32Array(length).fill(1), [1, length]);
        const mean = { into: sum, accumulate: true, scale: 1 / length };
        if (side === "columns") matmul(gpu, "nn", ones, part, mean);
        else matmul(gpu, "nt", ones, part, mean);
      }
    }
    return sums;
  }

  /** Sets to zero what the mask leaves out. */
  #cut(): void {
    const { gpu, data } = this.#parameters;
    const length = this.#lengths.e;
    const e = data.view([1, length]);
    gpu.copy(scaleColumns(gpu, e, this.#mask.view([1, length])), e);
  }

  #plan(steps: number): BudgetPlan {
    return budgetPlan(this.#targets[0].config, steps);
  }

  /** The stretch of `arena` where that tensor of `module` lies. */
  #part(arena: Tensor, module: string, name: string): Tensor {
    const { offset, shape } = this.#parameters.get(`${module}.${name}`)!.value;
    return arena.view(shape, offset / 4);
  }

  #all(name: string): Tensor[] {
    return this.#targets.map(({ module }) => this.#parameters.get(`${module}.${name}`)!.value);
  }

  /** Elements from the arena's begin to the end of tensors of these names, gaps included. */
  #end(names: readonly string[]): number {
    const own = new Set(names.flatMap((name) => this.#targets.map(({ module }) => `${module}.${name}`)));
    const next = this.#parameters.names.find((name) => !own.has(name));
    return next ? this.#parameters.get(next)!.value.offset / 4 : this.#parameters.data.size;
  }
}

/** Weight of the orthogonality beside the loss in nats: `orthogonality`, or 0.1. */
export function orthogonalityOf({ orthogonality = 0.1 }: Pick<MethodOptions, "orthogonality">): number {
  return orthogonality;
}

/** Triplets of a layer at the end, on average: `targetRank`, or two thirds of the rank as in the paper's experiments. */
export function targetRank({ rank, targetRank }: { rank: number; targetRank?: number }): number {
  return targetRank ?? Math.max(1, Math.floor(rank / 1.5));
}
