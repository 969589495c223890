import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  areaUnderCurve,
  bootstrapInterval,
  earlySpike,
  equivalence,
  type Interval,
  mean,
  meanInterval,
  pairedInterval,
  quantile,
  standardDeviation,
  stepsTo,
  tInterval,
  tQuantile,
  tTail,
} from "../../lib/display/statistics.ts";
import { Rng } from "../../lib/core/rng.ts";
import { readFixture } from "../helpers/fixtures.ts";

const { tails, equivalences } = await readFixture<{
  tails: { t: number; freedom: number; p: number }[];
  equivalences: { values: number[]; margin: number; p: number; interval: [number, number] }[];
}>("run_statistics.json");

const a = [2.31, 2.28, 2.44, 2.39, 2.35];
const b = [2.41, 2.36, 2.45, 2.53, 2.40];

/** Values of NumPy 2.4.6 and SciPy 1.17.1 carry about 15 digits. */
const near = (actual: number, expected: number) =>
  assertAlmostEquals(actual, expected, 1e-9 * Math.abs(expected));

Deno.test("tQuantile() equals scipy.stats.t.ppf", () => {
  const cases = [
    [0.975, 1, 12.706204736174694],
    [0.975, 2, 4.302652729749462],
    [0.975, 4, 2.7764451051977934],
    [0.95, 9, 1.833112932656237],
    [0.975, 29, 2.045229642132703],
    [0.995, 200, 2.600634436191558],
    [0.975, 2.5, 3.5746548420036817],
    [0.9999, 3, 22.203742273205],
  ];
  for (const [p, freedom, expected] of cases) near(tQuantile(p, freedom), expected);
});

Deno.test("tQuantile() refuses a probability or a freedom outside its range", () => {
  for (const [p, freedom] of [[0.5, 3], [1, 3], [0.975, 0], [NaN, 3]]) {
    assertThrows(() => tQuantile(p, freedom), RangeError, "t quantile");
  }
});

Deno.test("tTail() equals scipy.stats.t.sf", () => {
  for (const { t, freedom, p } of tails) near(tTail(t, freedom), p);
});

for (const { values, margin, p, interval } of equivalences) {
  Deno.test(`equivalence() equals the larger of scipy's one-sided tests, n = ${values.length}, margin ${margin}`, () => {
    const found = equivalence(values, margin);
    near(found.p, p);
    near(found.interval.low, interval[0]);
    near(found.interval.high, interval[1]);
    assertEquals(found.equivalent, p < 0.05);
    // The interval of 90 % lies inside the margin just where both tests reject.
    assertEquals(found.equivalent, found.interval.low > -margin && found.interval.high < margin);
    assertEquals(equivalence(values.map((x) => -x), margin).p, found.p);
    if (p > 0.4) return;
    assertEquals(equivalence(values, margin, p * 1.001).equivalent, true);
    assertEquals(equivalence(values, margin, p * 0.999).equivalent, false);
  });
}

Deno.test("equivalence() shows nothing of one value, decides differences without spread, and wants a margin", () => {
  assertEquals([equivalence([0.1], 1).p, equivalence([0.1], 1).equivalent], [NaN, false]);
  assertEquals([equivalence([0.5, 0.5, 0.5], 1).p, equivalence([0.5, 0.5, 0.5], 1).equivalent], [0, true]);
  assertEquals([equivalence([1, 1, 1], 1).p, equivalence([1, 1, 1], 1).equivalent], [1, false]);
  for (const margin of [0, -1, NaN]) {
    assertThrows(() => equivalence(a, margin), RangeError, `margin ${margin}: expected a number > 0`);
  }
  for (const alpha of [0, 0.5, NaN]) {
    assertThrows(() => equivalence(a, 1, alpha), RangeError, `alpha ${alpha}: expected 0 < alpha < 0.5`);
  }
});

Deno.test("tInterval() equals scipy.stats.t.interval around the mean", () => {
  near(mean(a), 2.354);
  near(standardDeviation(a), 0.06348228099241555);
  const interval = tInterval(a);
  near(interval.low, 2.2751763371678626);
  near(interval.high, 2.4328236628321376);
  assertEquals(interval.n, 5);
});

Deno.test("tInterval() gives no interval for one value", () => {
  assertEquals(tInterval([3]), { mean: 3, low: NaN, high: NaN, n: 1 });
});

Deno.test("pairedInterval() of few pairs equals scipy.stats.ttest_rel's interval, and is narrower than unpaired", () => {
  const interval = pairedInterval(a, b);
  near(interval.low, -0.1372078642592428);
  near(interval.high, -0.014792135740757155);
  assert(tInterval(a).high > tInterval(b).low, "unpaired, the intervals overlap");
  assertThrows(() => pairedInterval(a, [1]), RangeError, "got 5 and 1");
});

Deno.test("tInterval() of normal samples of three holds the true mean in about 95 % of cases", () => {
  const rng = new Rng(11, "coverage");
  const trials = 4000;
  let held = 0;
  for (let i = 0; i < trials; i++) {
    const { low, high } = tInterval([rng.normal(), rng.normal(), rng.normal()]);
    if (low <= 0 && high >= 0) held++;
  }
  // Four standard errors of a share of 0.95.
  assertAlmostEquals(held / trials, 0.95, 4 * Math.sqrt(0.95 * 0.05 / trials));
});

Deno.test("bootstrapInterval() agrees with 400,000 resamples in NumPy and depends on the seed alone", () => {
  const values = Array.from({ length: 25 }, (_, i) => Math.exp(i / 10));
  const interval = bootstrapInterval(values);
  near(interval.mean, 4.253074581952435);
  // The ends of 10,000 resamples vary by 0.0116 and 0.0229.
  assertAlmostEquals(interval.low, 3.15267, 4 * 0.0116);
  assertAlmostEquals(interval.high, 5.70812, 4 * 0.0229);
  assertEquals(bootstrapInterval(values), interval);
  assert(bootstrapInterval(values, { seed: 1 }).low !== interval.low);
});

Deno.test("bootstrapInterval() of equal values is a point, and of values that are not numbers none", () => {
  assertEquals(bootstrapInterval(new Array(12).fill(0.5)), { mean: 0.5, low: 0.5, high: 0.5, n: 12 });
  assert(Number.isNaN(bootstrapInterval([1, NaN, 2]).low));
});

Deno.test("meanInterval() is Student's for nine values and the bootstrap's for ten", () => {
  const values = Array.from({ length: 10 }, (_, i) => Math.exp(i / 3));
  assertEquals(meanInterval(values.slice(1)), tInterval(values.slice(1)));
  assertEquals(meanInterval(values), bootstrapInterval(values));
});

Deno.test("meanInterval() of ten skewed values holds the true mean more often than Student's interval", () => {
  const rng = new Rng(12, "coverage");
  const trials = 1000;
  let [held, student] = [0, 0];
  for (let i = 0; i < trials; i++) {
    const values = Array.from({ length: 10 }, () => Math.exp(rng.normal()));
    const holds = ({ low, high }: Interval) => low <= Math.exp(0.5) && high >= Math.exp(0.5);
    held += Number(holds(meanInterval(values)));
    student += Number(holds(tInterval(values)));
  }
  assert(held > student + 20, `${held} against ${student} of ${trials}`);
});

Deno.test("quantile() equals numpy.quantile", () => {
  const sorted = [1, 2, 4, 8];
  near(quantile(sorted, 0.1), 1.3);
  near(quantile(sorted, 0.5), 3);
  near(quantile(sorted, 0.975), 7.7);
});

const curve = [{ step: 0, loss: 4 }, { step: 10, loss: 3 }, { step: 30, loss: 2 }, { step: 40, loss: 2.5 }];

Deno.test("stepsTo() interpolates between evaluations and takes the first arrival", () => {
  assertEquals(stepsTo(curve, 3.5), { steps: 5, censored: false });
  assertEquals(stepsTo(curve, 3), { steps: 10, censored: false });
  assertEquals(stepsTo(curve, 2.25), { steps: 25, censored: false });
  assertEquals(stepsTo(curve, 4), { steps: 0, censored: false });
});

Deno.test("stepsTo() keeps a run that never arrives, at its last step", () => {
  assertEquals(stepsTo(curve, 1.9), { steps: 40, censored: true });
  assertEquals(stepsTo([], 1), { steps: 0, censored: true });
  assertEquals(stepsTo([{ step: 0, loss: NaN }, { step: 5, loss: NaN }], 1), { steps: 5, censored: true });
});

Deno.test("areaUnderCurve() equals numpy.trapezoid over uneven steps, divided by the length", () => {
  const losses = [3, 2.5, 2.2, 2.1];
  near(areaUnderCurve([0, 10, 30, 70].map((step, i) => ({ step, loss: losses[i] }))), 2.2928571428571427);
  assertEquals(areaUnderCurve([{ step: 0, loss: 3 }]), 3);
});

Deno.test("earlySpike() is the highest rise above the start in the first tenth of the steps", () => {
  const losses = [3, 3.5, 2.9, 2.5, 9];
  const spiky = [0, 10, 20, 30, 100].map((step, i) => ({ step, loss: losses[i] }));
  assertEquals(earlySpike(spiky), 0.5);
  assertEquals(earlySpike(spiky, 1), 6);
  assertEquals(earlySpike(spiky, 0.09), 0);
  assertEquals(earlySpike(spiky.slice(2)), 0);
  assertEquals(earlySpike([{ step: 0, loss: 3 }, { step: 1, loss: NaN }, { step: 10, loss: 2 }]), Infinity);
  assertEquals(earlySpike([]), NaN);
});
