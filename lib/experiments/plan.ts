/** What one method costs on the device at hand. */
export interface Cost {
  /** Seconds of one update. */
  readonly step: number;
  /** Seconds before the first update and after the last: attaching, final figures. */
  readonly fixed: number;
}

/** How long the runs of an experiment are. */
export interface Horizon {
  /** Updates of each run, a multiple of `every`. */
  readonly steps: number;
  /** Updates between evaluations of the curve. */
  readonly every: number;
  /** Seconds that all runs are expected to take. */
  readonly seconds: number;
}

/**
 * The longest common horizon that fits in a time: the same number of updates for every run, at most `full`.
 *
 * @param costs Cost of each method.
 * @param evaluation Seconds of one evaluation of the curve.
 * @param options `seeds` runs a method; `budget` seconds in all; `full` updates of the whole experiment, a multiple of
 * `every`.
 * @returns The horizon; at least one stretch between evaluations, whatever it takes.
 *
 * @example Usage
 * ```ts
 * import { planHorizon } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * const costs = [{ step: 0.1, fixed: 1 }, { step: 0.1, fixed: 1 }];
 * const plan = planHorizon(costs, 0.5, { seeds: 3, budget: 100, full: 1000, every: 25 });
 * assertEquals(plan.steps, 125);
 * ```
 */
export function planHorizon(
  costs: readonly Cost[],
  evaluation: number,
  options: { seeds: number; budget: number; full: number; every: number },
): Horizon {
  const { seeds, budget, full, every } = options;
  const fixed = seeds * costs.reduce((sum, cost) => sum + cost.fixed + evaluation, 0);
  const stretch = seeds * costs.reduce((sum, { step }) => sum + every * step + evaluation, 0);
  const fits = Math.floor((budget - fixed) / stretch);
  const stretches = Math.max(1, Math.min(fits, Math.floor(full / every)));
  return { steps: stretches * every, every, seconds: fixed + stretches * stretch };
}
