import type { Parameters } from "../autograd/parameters.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { scaleColumns } from "../ops/scale_columns.ts";
import type { BetweenUpdates, Course, TrainingPlace } from "./course.ts";
import type { LayerTarget } from "./method.ts";
import type { MethodOptions } from "./options.ts";

/** Allocations of a training by default, as in the paper. */
const ALLOCATIONS = 8;

/** Elements from one layer's gates to the next one's are a multiple of this, as a view wants it. */
const ALIGN = 64;

/** When ranks are allocated anew. */
export interface AllocationPlan {
  /** Updates before the first allocation. */
  readonly initWarmup: number;
  /** Updates that are left after the last one, at least. */
  readonly finalWarmup: number;
  /** Updates from one to the next. */
  readonly maskInterval: number;
}

/** The plan that `options` ask for in a training of `steps` updates. */
export function allocationPlan(options: MethodOptions, steps: number): AllocationPlan {
  const { initWarmup = Math.floor(steps / 10), finalWarmup = Math.floor(0.3 * steps) } = options;
  const between = Math.ceil((steps - initWarmup - finalWarmup) / (ALLOCATIONS - 1));
  return { initWarmup, finalWarmup, maskInterval: options.maskInterval ?? Math.max(1, between) };
}

/** Slots of a layer: `maxRank`, by default twice the rank, and no more than rows or columns. */
export function slotsOf({ out, in: width, config: { rank, maxRank = 2 * rank } }: LayerTarget): number {
  return Math.min(maxRank, out, width);
}

/**
 * The gates after an allocation: the `moves` least important slots that are on are shut, and as many are opened in the
 * layers that lost none, in turns, those of the highest mean importance first. Where these have no room for so many, fewer
 * are moved: as many are open after it as before.
 *
 * @param gates Whether each slot of each layer is on.
 * @param importance Of each slot that is on.
 */
export function allocate(
  gates: readonly (readonly boolean[])[],
  importance: readonly (readonly number[])[],
  moves: number,
): boolean[][] {
  const next = gates.map((layer) => [...layer]);
  const slots = gates.flatMap((layer, at) => layer.flatMap((on, slot) => on ? [{ layer: at, slot }] : []))
    .sort((i, j) => importance[i.layer][i.slot] - importance[j.layer][j.slot]);
  const kept = (count: number) => {
    const lost = new Set(slots.slice(0, count).map(({ layer }) => layer));
    return [...gates.keys()].filter((layer) => !lost.has(layer));
  };
  const room = (layers: readonly number[]) =>
    layers.reduce((sum, layer) => sum + gates[layer].filter((on) => !on).length, 0);
  let count = Math.min(moves, slots.length);
  while (count > room(kept(count))) count--;
  for (const { layer, slot } of slots.slice(0, count)) next[layer][slot] = false;
  const mean = (layer: number) => {
    const own = importance[layer].filter((_, slot) => gates[layer][slot]);
    return own.length ? own.reduce((sum, x) => sum + x, 0) / own.length : -Infinity;
  };
  const means = gates.map((_, layer) => mean(layer));
  const receivers = kept(count).sort((i, j) => means[j] - means[i] || i - j);
  for (let left = count; left > 0;) {
    for (const layer of receivers) {
      const slot = next[layer].indexOf(false);
      if (slot < 0 || left === 0) continue;
      next[layer][slot] = true;
      left--;
    }
  }
  return next;
}

/**
 * Gates of the slots of all layers, f32 1 or 0, of which as many are open at any time as at the start.
 *
 * A slot that is shut loses its column of B and its moments; the row of A stays, without a gradient, until it is opened
 * again. So one that is opened has B = 0 whether it was on before or not, and the function keeps its bits. An allocation
 * makes two forward passes for each open slot and reads the losses once.
 *
 * Source: Liu et al. 2024, arXiv:2403.16187, AB-LoRA and algorithm 1.
 */
export class RankAllocation implements Course {
  /** The gates. */
  readonly state: ReadonlyMap<string, Tensor>;
  /** Those of each layer, `[1, slots]`, as `<module>.gates`. */
  readonly saved: ReadonlyMap<string, Tensor>;
  /** Slots whose importance an allocation finds. */
  readonly scores: number;
  readonly #parameters: Parameters;
  readonly #targets: readonly LayerTarget[];
  readonly #gates: Tensor;
  /** Where each layer's gates begin. */
  readonly #starts: readonly number[];

  /** Gates of which in each layer the first `rank` are open. */
  constructor(parameters: Parameters, targets: readonly LayerTarget[]) {
    const { gpu } = parameters;
    this.#parameters = parameters;
    this.#targets = targets;
    this.scores = targets.reduce((sum, { config }) => sum + config.rank, 0);
    let end = 0;
    this.#starts = targets.map((target) => {
      const start = end;
      end += Math.ceil(slotsOf(target) / ALIGN) * ALIGN;
      return start;
    });
    const open = targets.map((target) =>
      Array.from({ length: slotsOf(target) }, (_, slot) => slot < target.config.rank)
    );
    this.#gates = gpu.keep(gpu.tensor([end]));
    gpu.write(this.#gates, this.#numbers(open));
    this.state = new Map([["gates", this.#gates]]);
    this.saved = new Map(targets.map((target, i) => [
      `${target.module}.gates`,
      this.#gates.view([1, slotsOf(target)], this.#starts[i]),
    ]));
  }

  /**
   * Whether there are updates between the warm-ups.
   *
   * @throws {RangeError} If not.
   */
  check(steps: number): void {
    const { initWarmup, finalWarmup } = this.#plan(steps);
    if (steps === 0 || initWarmup + finalWarmup < steps) return;
    throw new RangeError(
      `Cannot train ${steps} steps with initWarmup ${initWarmup} and finalWarmup ${finalWarmup}: ` +
        `expected more steps than both, as ranks are moved in between`,
    );
  }

  /** Allocates, where it is due. */
  between({ step, steps }: TrainingPlace, training: BetweenUpdates): Promise<void> | undefined {
    const { initWarmup, finalWarmup, maskInterval } = this.#plan(steps);
    const since = step - initWarmup;
    const due = since >= 0 && step <= steps - finalWarmup && step < steps && since % maskInterval === 0;
    return due ? this.#allocate(training) : undefined;
  }

  /** Frees the gates. */
  [Symbol.dispose](): void {
    this.#gates.dispose();
  }

  async #allocate({ moments, loss }: BetweenUpdates): Promise<void> {
    const { gpu, data } = this.#parameters;
    const numbers = await gpu.read(this.#gates);
    const gates = this.#targets.map((target, i) =>
      Array.from({ length: slotsOf(target) }, (_, slot) => numbers[this.#starts[i] + slot] === 1)
    );
    const importance = await this.#importance(gates, loss);
    const { moves = this.#targets.length } = this.#targets[0].config;
    const next = allocate(gates, importance, moves);
    gpu.write(this.#gates, this.#numbers(next));
    gpu.scope(() => {
      this.#targets.forEach(({ module }, i) => {
        if (!gates[i].some((on, slot) => on && !next[i][slot])) return;
        const open = this.saved.get(`${module}.gates`)!;
        const slots = open.size;
        for (const arena of [data, moments.m, moments.v]) {
          const b = this.#part(arena, `${module}.b`);
          gpu.copy(scaleColumns(gpu, b, open), b);
        }
        for (const arena of [moments.m, moments.v]) {
          const a = this.#part(arena, `${module}.a`);
          gpu.copy(scaleColumns(gpu, a.view([a.size, 1]), open.view([slots, 1])), a);
        }
      });
    });
    gpu.flush();
  }

  /** The loss without each open slot less the loss with it alone; S(M) of the paper is the same for all. */
  async #importance(gates: boolean[][], loss: BetweenUpdates["loss"]): Promise<number[][]> {
    const { gpu } = this.#parameters;
    const slots = gates.flatMap((layer, i) => layer.flatMap((on, slot) => on ? [[i, slot]] : []));
    using losses = gpu.keep(gpu.tensor([2 * slots.length]));
    slots.forEach(([i, slot], at) => {
      const isOwn = (layer: number, other: number) => layer === i && other === slot;
      const without = gates.map((layer, l) => layer.map((on, other) => on && !isOwn(l, other)));
      const alone = gates.map((layer, l) => layer.map((_, other) => isOwn(l, other)));
      for (const [which, open] of [without, alone].entries()) {
        gpu.write(this.#gates, this.#numbers(open));
        loss(losses, 2 * at + which);
        gpu.flush();
      }
    });
    const found = await gpu.read(losses);
    const importance = gates.map((layer) => layer.map(() => 0));
    slots.forEach(([i, slot], at) => importance[i][slot] = found[2 * at] - found[2 * at + 1]);
    return importance;
  }

  #numbers(open: readonly (readonly boolean[])[]): Float32Array<ArrayBuffer> {
    const last = this.#targets.length - 1;
    const numbers = new Float32Array(this.#starts[last] + Math.ceil(open[last].length / ALIGN) * ALIGN);
    open.forEach((layer, i) => numbers.set(layer.map(Number), this.#starts[i]));
    return numbers;
  }

  /** The stretch of `arena` where that tensor lies. */
  #part(arena: Tensor, name: string): Tensor {
    const { offset, shape } = this.#parameters.get(name)!.value;
    return arena.view(shape, offset / 4);
  }

  #plan(steps: number): AllocationPlan {
    return allocationPlan(this.#targets[0].config, steps);
  }
}
