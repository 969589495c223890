import type { Arrival } from "./statistics.ts";

/** Share of runs that have not arrived after some number of steps. */
export interface SurvivalPoint {
  /** Steps at which a run arrived. */
  readonly steps: number;
  /** Share that has not arrived by then, 0 to 1. */
  readonly share: number;
}

/** The middle of arrivals of which some may be censored. */
export interface MedianArrival {
  /** Steps by which half of the runs had arrived; infinity if fewer did, NaN of no runs. */
  readonly median: number;
  /** Runs that never arrived. */
  readonly censored: number;
  /** All runs. */
  readonly n: number;
}

/**
 * Kaplan–Meier estimate of the share of runs that have not arrived, S(t) = Π (1 − arrivals / runs still under way), a
 * point for each number of steps at which one arrived. A run that was cut off counts as under way until then, so neither
 * leaving it out nor taking its last step for an arrival biases what is found.
 *
 * Source: Kaplan and Meier 1958, "Nonparametric estimation from incomplete observations", J. Am. Stat. Assoc. 53.
 */
export function kaplanMeier(arrivals: readonly Arrival[]): SurvivalPoint[] {
  const times = [...new Set(arrivals.filter(({ censored }) => !censored).map(({ steps }) => steps))]
    .sort((a, b) => a - b);
  let share = 1;
  return times.map((steps) => {
    // Who is cut off at the very step of an arrival is still under way there.
    const underWay = arrivals.filter((arrival) => arrival.steps >= steps).length;
    const arrived = arrivals.filter((arrival) => !arrival.censored && arrival.steps === steps).length;
    share *= (underWay - arrived) / underWay;
    return { steps, share };
  });
}

/** Kaplan–Meier median: the fewest steps by which no more than half of the runs had yet to arrive. */
export function medianArrival(arrivals: readonly Arrival[]): MedianArrival {
  const n = arrivals.length;
  // The product of exact shares may miss a half by its rounding.
  const half = 0.5 * (1 + n * Number.EPSILON);
  const found = kaplanMeier(arrivals).find(({ share }) => share <= half);
  return {
    median: n ? found?.steps ?? Infinity : NaN,
    censored: arrivals.filter(({ censored }) => censored).length,
    n,
  };
}
