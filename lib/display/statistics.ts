import { Rng } from "../core/rng.ts";

/** A mean with its 95 % interval; the ends are NaN where a single value gives none. */
export interface Interval {
  /** Arithmetic mean. */
  readonly mean: number;
  /** Lower end. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
  /** Number of values. */
  readonly n: number;
}

/** Arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** Standard deviation of a sample (n − 1 in the denominator); NaN for fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, x) => sum + (x - centre) ** 2, 0);
  return values.length < 2 ? NaN : Math.sqrt(squares / (values.length - 1));
}

/** How the intervals below are made, for captions. */
export const INTERVAL_NOTE = "95 % interval (Student; bootstrap from 10 values on)";

/** Number of values from which a bootstrap is trusted. */
const BOOTSTRAP_FROM = 10;

/**
 * Mean and interval of a sample: the bootstrap's from 10 values on, below that Student's, which assumes more and so
 * needs fewer.
 *
 * @param confidence Share of such intervals that hold the true mean; default 0.95.
 */
export function meanInterval(values: readonly number[], confidence = 0.95): Interval {
  return values.length < BOOTSTRAP_FROM
    ? tInterval(values, confidence)
    : bootstrapInterval(values, { confidence });
}

/** `meanInterval` of the differences `a[i] − b[i]`, for runs that share all but the method. */
export function pairedInterval(a: readonly number[], b: readonly number[], confidence = 0.95): Interval {
  return meanInterval(differences(a, b), confidence);
}

/**
 * Mean and Student's interval, `x̄ ± t(n−1) · sd / √n`: exact for normal values, however few.
 *
 * Source: Student 1908, "The probable error of a mean", Biometrika 6.
 *
 * @param confidence Share of such intervals that hold the true mean, for normal values; default 0.95.
 */
export function tInterval(values: readonly number[], confidence = 0.95): Interval {
  const n = values.length;
  const centre = mean(values);
  if (n < 2) return { mean: centre, low: NaN, high: NaN, n };
  const half = tQuantile((1 + confidence) / 2, n - 1) * standardDeviation(values) / Math.sqrt(n);
  return { mean: centre, low: centre - half, high: centre + half, n };
}

/** How a bootstrap draws. */
export interface BootstrapOptions {
  /** Seed of the resampling; default 0. */
  readonly seed?: number;
  /** Number of resamples; default 10,000. */
  readonly resamples?: number;
  /** Share of such intervals that hold the true mean; default 0.95. */
  readonly confidence?: number;
}

/**
 * Mean and bootstrap-t interval: Student's, but with the quantiles of `t* = (x̄* − x̄) / (sd* / √n)` over resamples x* of
 * the same size in place of the table's, so that it follows the skew of the values. Percentiles of x̄* itself are too
 * narrow for the ten to thirty runs of a study. A function of values and options alone.
 *
 * Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", §12.5.
 */
export function bootstrapInterval(values: readonly number[], options: BootstrapOptions = {}): Interval {
  const { seed = 0, resamples = 10_000, confidence = 0.95 } = options;
  const n = values.length;
  const centre = mean(values);
  if (n < 2 || !values.every(Number.isFinite)) return { mean: centre, low: NaN, high: NaN, n };
  const error = standardDeviation(values) / Math.sqrt(n);
  const picks = drawn(seed, n, resamples);
  const ratios: number[] = [];
  for (let at = 0; at < picks.length; at += n) {
    let sum = 0;
    let squares = 0;
    for (let i = at; i < at + n; i++) {
      const x = values[picks[i]] - centre;
      sum += x;
      squares += x * x;
    }
    const variance = (squares - sum * sum / n) / (n - 1);
    if (variance > 1e-9 * n * error * error) ratios.push(sum / Math.sqrt(n * variance));
  }
  if (!ratios.length) return { mean: centre, low: centre, high: centre, n };
  const sorted = Float64Array.from(ratios).sort();
  const tail = (1 - confidence) / 2;
  return {
    mean: centre,
    low: centre - quantile(sorted, 1 - tail) * error,
    high: centre - quantile(sorted, tail) * error,
    n,
  };
}

const draws = new Map<string, Uint32Array>();

/** The indices of all resamples, kept: a figure asks for hundreds of intervals of the same size. */
function drawn(seed: number, n: number, resamples: number): Uint32Array {
  const key = `${seed} ${n} ${resamples}`;
  let picks = draws.get(key);
  if (!picks) {
    const rng = new Rng(seed, "bootstrap");
    draws.clear();
    draws.set(key, picks = Uint32Array.from({ length: n * resamples }, () => rng.below(n)));
  }
  return picks;
}

function differences(a: readonly number[], b: readonly number[]): number[] {
  if (a.length !== b.length) {
    throw new RangeError(`Cannot pair values: got ${a.length} and ${b.length}, expected equal numbers`);
  }
  return a.map((x, i) => x - b[i]);
}

/**
 * Quantile of ascending values, interpolated between neighbours (type 7 of Hyndman and Fan 1996, "Sample
 * quantiles in statistical packages"; the default of NumPy and R).
 */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const place = p * (sorted.length - 1);
  const i = Math.floor(place);
  const next = sorted[Math.min(i + 1, sorted.length - 1)];
  return sorted[i] + (place - i) * (next - sorted[i]);
}

/** Whether a mean difference lies inside a margin, by two one-sided tests. */
export interface Equivalence {
  /** The mean difference and its interval of confidence 1 − 2 alpha, which lies inside the margin where it is shown. */
  readonly interval: Interval;
  /** The larger p of both tests; NaN for fewer than two values. */
  readonly p: number;
  /** p is below alpha: the difference is smaller than the margin. If not, nothing is shown. */
  readonly equivalent: boolean;
}

/**
 * TOST: tests a mean difference of paired runs against both ends of ±`margin`; only if it is above the lower and below
 * the upper one are they equivalent. The margin is a choice, and counts only where it was made before the runs.
 *
 * Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach for assessing the
 * equivalence of average bioavailability", J. Pharmacokinet. Biopharm. 15; Student's t on the differences.
 *
 * @param values Differences `a[i] − b[i]` of runs that share seed i.
 * @param margin Largest difference that still counts as none, above 0, in the unit of the values.
 * @param alpha Level of each test, below 0.5; default 0.05.
 * @throws {RangeError} If `margin` is not above 0, or `alpha` not between 0 and 0.5.
 */
export function equivalence(values: readonly number[], margin: number, alpha = 0.05): Equivalence {
  if (!(margin > 0)) {
    throw new RangeError(`Cannot test equivalence with margin ${margin}: expected a number > 0`);
  }
  if (!(alpha > 0 && alpha < 0.5)) {
    throw new RangeError(`Cannot test equivalence with alpha ${alpha}: expected 0 < alpha < 0.5`);
  }
  const interval = tInterval(values, 1 - 2 * alpha);
  const error = standardDeviation(values) / Math.sqrt(values.length);
  const distance = margin - Math.abs(interval.mean);
  // The nearer end decides; without spread the difference is known.
  const p = error === 0 ? Number(distance <= 0) : tTail(distance / error, values.length - 1);
  return { interval, p, equivalent: p < alpha };
}

/** P(T > t) of Student's t distribution with `freedom` degrees of freedom; NaN where either is. */
export function tTail(t: number, freedom: number): number {
  const upper = incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
  return t < 0 ? 1 - upper : upper;
}

/** Quantile of Student's t distribution with `freedom` degrees of freedom, to 1e-10 relative; p in (0.5, 1). */
export function tQuantile(p: number, freedom: number): number {
  if (!(p > 0.5 && p < 1) || !(freedom > 0)) {
    throw new RangeError(
      `Cannot compute a t quantile for p = ${p} and ${freedom} degrees of freedom: expected 0.5 < p < 1, freedom > 0`,
    );
  }
  // The tail falls in t: double until it is passed, then halve.
  let [low, high] = [0, 1];
  while (tTail(high, freedom) > 1 - p) [low, high] = [high, 2 * high];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tTail(middle, freedom) > 1 - p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Regularised incomplete beta function I(x; a, b), by Lentz's continued fraction.
 *
 * Source: Press et al. 2007, "Numerical Recipes", 3rd ed., §6.4; DLMF 8.17.22.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const guard = (value: number) => Math.abs(value) < 1e-300 ? 1e-300 : value;
  let c = 1;
  let d = 1 / guard(1 - (a + b) * x / (a + 1));
  let fraction = d;
  for (let m = 1; m < 1000; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    const before = fraction;
    for (const term of [even, odd]) {
      d = 1 / guard(1 + term * d);
      c = guard(1 + term / c);
      fraction *= c * d;
    }
    if (Math.abs(fraction / before - 1) < 1e-15) break;
  }
  const front = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  return Math.exp(front) * fraction / a;
}

/** Logarithm of Γ(x) for x > 0: Stirling's series (DLMF 5.11.1) after the recurrence has lifted x to 10. */
function logGamma(x: number): number {
  let shift = 0;
  for (; x < 10; x++) shift += Math.log(x);
  const y = 1 / (x * x);
  const series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

/** A point of a loss curve. */
export interface CurvePoint {
  /** Optimiser steps done. */
  readonly step: number;
  /** Validation loss in nats per token. */
  readonly loss: number;
}

/** When a curve reached a threshold. */
export interface Arrival {
  /** Steps until the loss was at or below the threshold; the last step of the curve if it never was. */
  readonly steps: number;
  /** The curve ended above the threshold, so `steps` is only a lower bound. */
  readonly censored: boolean;
}

/**
 * Steps until the loss is first at or below `threshold`, interpolated linearly between evaluations. Curves that
 * never arrive are kept as censored at their last step.
 *
 * Own construction: evaluations are too far apart for a whole step to be the unit.
 */
export function stepsTo(curve: readonly CurvePoint[], threshold: number): Arrival {
  for (let i = 0; i < curve.length; i++) {
    if (!(curve[i].loss <= threshold)) continue;
    if (i === 0) return { steps: curve[0].step, censored: false };
    const [a, b] = [curve[i - 1], curve[i]];
    const share = Number.isFinite(a.loss) ? (a.loss - threshold) / (a.loss - b.loss) : 1;
    return { steps: a.step + share * (b.step - a.step), censored: false };
  }
  return { steps: curve.at(-1)?.step ?? 0, censored: true };
}

/**
 * Mean loss over the steps of the curve, in nats per token: the area under it by the trapezoid rule, divided by
 * its length. Lower is faster convergence; independent of any threshold.
 */
export function areaUnderCurve(curve: readonly CurvePoint[]): number {
  if (curve.length < 2) return curve[0]?.loss ?? NaN;
  let area = 0;
  for (let i = 1; i < curve.length; i++) {
    area += (curve[i].step - curve[i - 1].step) * (curve[i].loss + curve[i - 1].loss) / 2;
  }
  return area / (curve[curve.length - 1].step - curve[0].step);
}

/**
 * How far the loss rises above its start in the first part of the curve, nats per token: what a rate that is too high
 * costs before it is worth its while. 0 where it never does, infinity where a loss there is not finite, NaN of nothing.
 *
 * Own construction. On a curve of single training batches the noise of a batch is part of it.
 *
 * @param share Part of the steps that counts as early; default 0.1.
 */
export function earlySpike(curve: readonly CurvePoint[], share = 0.1): number {
  if (!curve.length) return NaN;
  const [start, end] = [curve[0], curve[curve.length - 1]];
  const early = curve.filter(({ step }) => step - start.step <= share * (end.step - start.step));
  const highest = Math.max(...early.map(({ loss }) => Number.isFinite(loss) ? loss : Infinity));
  return highest === Infinity ? Infinity : highest - start.loss;
}
