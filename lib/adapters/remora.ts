import { linearRule } from "../autograd/linear.ts";
import {
  addRule,
  cycleRule,
  foldRule,
  moveColumnsRule,
  reshapeRule,
  scaleColumnsRule,
} from "../autograd/rules.ts";
import type { Parameters } from "../autograd/parameters.ts";
import type { Tape, Variable } from "../autograd/tape.ts";
import { hostTensor } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { addScaled, affine } from "../ops/affine.ts";
import { scaleColumns } from "../ops/scale_columns.ts";
import type { Course, Moments, TrainingPlace } from "./course.ts";
import type { LayerForm, LayerTarget, Method } from "./method.ts";
import { moraSide, shared } from "./mora.ts";

const TYPES = [1, 2] as const;

/** Groups of equal size, `count` of them from group `group` and element `at` on. */
interface Stretch {
  readonly group: number;
  readonly count: number;
  readonly size: number;
  readonly at: number;
}

/** `length` elements in `groups` groups of neighbours, the first of which are longer by one where it does not divide. */
function stretches(length: number, groups: number): Stretch[] {
  const [size, longer] = [Math.floor(length / groups), length % groups];
  return [
    { group: 0, count: longer, size: size + 1, at: 0 },
    { group: longer, count: groups - longer, size, at: longer * (size + 1) },
  ].filter(({ count, size }) => count * size > 0);
}

/** The sum of `terms`, of which there is at least one. */
function total(tape: Tape, terms: readonly Variable[]): Variable {
  return terms.reduce((sum, term) => tape.apply(addRule, [sum, term], null)[0]);
}

/** D M C x of type 2: neighbours in x `[n, in]` are added up in r̂ groups, each output of M `[r̂, r̂]` repeated side by side. */
export function sharedByNeighbours(tape: Tape, x: Variable, m: Variable, { out }: LayerTarget): Variable {
  const [n, width] = x.value.shape;
  const [side] = m.value.shape;
  const sums = stretches(width, side).map(({ group, count, size, at }) => {
    const [part] = tape.apply(moveColumnsRule, [x], { width: count * size, from: at, wide: count * size });
    const [groups] = tape.apply(reshapeRule, [part], { shape: [n * count, size] });
    const [added] = tape.apply(foldRule, [groups], { d: 1 });
    const [row] = tape.apply(reshapeRule, [added], { shape: [n, count] });
    return tape.apply(moveColumnsRule, [row], { width: count, to: group, wide: side })[0];
  });
  const [hidden] = tape.apply(linearRule, [total(tape, sums), m], {});
  const repeated = stretches(out, side).map(({ group, count, size, at }) => {
    const [part] = tape.apply(moveColumnsRule, [hidden], { width: count, from: group, wide: count });
    const [column] = tape.apply(reshapeRule, [part], { shape: [n * count, 1] });
    const [groups] = tape.apply(cycleRule, [column], { wide: size });
    const [row] = tape.apply(reshapeRule, [groups], { shape: [n, count * size] });
    return tape.apply(moveColumnsRule, [row], { width: count * size, to: at, wide: out })[0];
  });
  return total(tape, repeated);
}

const form: LayerForm = {
  takesDropout: true,

  start(target) {
    const side = moraSide(target);
    return new Map([["m", hostTensor([side, side], new Float32Array(side * side))]]);
  },

  apply(tape, { x, dropped, w }, tensors, target) {
    const [y] = tape.apply(linearRule, [x, w], {});
    const added = TYPES.flatMap((type) => {
      const changed = (x: Variable, m: Variable) =>
        (type === 1 ? shared : sharedByNeighbours)(tape, x, m, target);
      const merged = tensors(`merged${type}`);
      const [own] = tape.apply(scaleColumnsRule, [tensors("m"), tensors(`turn${type}`)], null);
      if (dropped !== x) return [changed(x, merged), changed(dropped, own)];
      return [changed(x, tape.apply(addRule, [own, merged], null)[0])];
    });
    return total(tape, [y, ...added]);
  },

  course: (parameters, targets) => new Restarts(parameters, targets),
};

/**
 * Merges M of all layers every `mergeInterval` updates, but for the last one, and begins anew from M = 0 in the other
 * type, with an optimiser that has seen nothing.
 *
 * `turn1` and `turn2` are one and zero or zero and one: which type M has. A merge changes no bit of the function, since the
 * layer computes with the sum of M and what was merged in its type.
 */
class Restarts implements Course {
  readonly state: ReadonlyMap<string, Tensor>;
  readonly saved: ReadonlyMap<string, Tensor>;
  readonly scores = 0;
  readonly #parameters: Parameters;
  readonly #targets: readonly LayerTarget[];

  constructor(parameters: Parameters, targets: readonly LayerTarget[]) {
    const { gpu, data } = parameters;
    this.#parameters = parameters;
    this.#targets = targets;
    const widest = Math.max(...targets.map(moraSide));
    const make = (length: number, value: number) =>
      gpu.keep(gpu.upload(new Float32Array(length).fill(value), [length]));
    this.state = new Map(TYPES.flatMap((type) => [
      [`merged${type}`, make(data.size, 0)],
      [`turn${type}`, make(widest, type === 1 ? 1 : 0)],
    ]));
    this.saved = new Map(targets.flatMap(({ module }) => {
      const { shape, offset } = parameters.get(`${module}.m`)!.value;
      return TYPES.flatMap((type): [string, Tensor][] => [
        [`${module}.merged${type}`, this.state.get(`merged${type}`)!.view(shape, offset / 4)],
        [`${module}.turn${type}`, this.state.get(`turn${type}`)!.view([1, shape[1]])],
      ]);
    }));
  }

  check(steps: number): void {
    const { mergeInterval, restartWarmup = 0 } = this.#targets[0].config;
    if (mergeInterval !== undefined && steps > 0 && mergeInterval >= steps) {
      throw new RangeError(
        `Cannot train ${steps} steps with mergeInterval ${mergeInterval}: expected more steps, as nothing would be merged`,
      );
    }
    const interval = this.#interval(steps);
    if (restartWarmup < interval || steps === 0) return;
    throw new RangeError(
      `Cannot train with restartWarmup ${restartWarmup}: expected fewer updates than from one merge to the next, ${interval}`,
    );
  }

  rate({ step, steps }: TrainingPlace): number {
    const { restartWarmup = 0 } = this.#targets[0].config;
    const interval = this.#interval(steps);
    const since = (step - 1) % interval;
    return step > interval && since < restartWarmup ? since / restartWarmup : 1;
  }

  afterUpdate({ step, steps }: TrainingPlace, moments: Moments): void {
    if (step === steps || step % this.#interval(steps)) return;
    const { gpu, data } = this.#parameters;
    for (const { module } of this.#targets) {
      const { value } = this.#parameters.get(`${module}.m`)!;
      for (const type of TYPES) {
        const own = scaleColumns(gpu, value, this.saved.get(`${module}.turn${type}`)!);
        addScaled(gpu, own, 1, this.saved.get(`${module}.merged${type}`)!);
      }
    }
    for (const type of TYPES) {
      const turn = this.state.get(`turn${type}`)!;
      gpu.copy(affine(gpu, turn, -1, 1), turn);
    }
    gpu.clear(data);
    moments.restart();
  }

  [Symbol.dispose](): void {
    for (const tensor of this.state.values()) tensor.dispose();
  }

  #interval(steps: number): number {
    return this.#targets[0].config.mergeInterval ?? Math.max(1, Math.floor(steps / 5));
  }
}

/**
 * ReMoRA: MoRA whose matrix M `[r̂, r̂]` is merged every `mergeInterval` updates, after which training begins anew from
 * M = 0, so that changes of other structure add up. r̂² numbers are trained, r̂ = √((m + n) r) for a weight `[m, n]`.
 *
 * M shares rows and columns, by turns of type 1 (`mora`) and of type 2, where the r̂ groups are of neighbours, the first
 * ones longer by one where they cannot be equal. With each merge the optimiser begins anew, its bias correction included,
 * and the rate may rise again from zero (`restartWarmup`, factor i / restartWarmup at update i from 0).
 *
 * Source: Jiang et al. 2024, arXiv:2405.12130, §3.2 and eqs. (6) and (7), after ReLoRA (Lialin et al. 2023,
 * arXiv:2307.05695); the types, their groups and the optimiser as in the authors' code. Deviations: the base stays
 * untouched: what is merged is kept as one sum of matrices for each type, 2 r̂² numbers a layer, which is the same change
 * as both types are linear in M, and no rounding to the base's type; after a warm-up the rate is that of the run's
 * schedule, as in ReLoRA (the authors' code begins the schedule anew from the rate reached); nothing is merged after the
 * last update, where it would change nothing; types 3 and 4 are left out, as by the code's default. Weight decay draws M
 * to zero, not what was merged; dropout is of M's input alone. Where nothing divides, types 1 and 2 wrap and cut as said
 * in `mora`. Merging every fifth of the steps is the authors' example.
 */
export const remora: Method = {
  name: "remora",
  startsAtZero: true,
  takes: ["mergeInterval", "restartWarmup"],
  layer: form,
  start: () => Promise.resolve([]),
};
