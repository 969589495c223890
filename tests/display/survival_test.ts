import { assertAlmostEquals, assertEquals } from "@std/assert";
import { kaplanMeier, medianArrival } from "../../lib/display/survival.ts";
import { readFixture } from "../helpers/fixtures.ts";

interface SurvivalCase {
  steps: number[];
  censored: boolean[];
  quantiles: number[];
  shares: number[];
  median: number | null;
}

const { survivals } = await readFixture<{ survivals: SurvivalCase[] }>("run_statistics.json");

for (const { steps, censored, quantiles, shares, median } of survivals) {
  const arrivals = steps.map((steps, i) => ({ steps, censored: censored[i] }));
  Deno.test(`kaplanMeier() and medianArrival() equal scipy.stats.ecdf's sf: ${steps}, ${censored}`, () => {
    const found = kaplanMeier(arrivals);
    assertEquals(found.map(({ steps }) => steps), quantiles);
    found.forEach(({ share }, i) => assertAlmostEquals(share, shares[i], 1e-14));
    assertEquals(medianArrival(arrivals), {
      median: median ?? Infinity,
      censored: censored.filter(Boolean).length,
      n: steps.length,
    });
  });
}

Deno.test("medianArrival() of no runs is NaN, and of runs that never arrive infinite", () => {
  assertEquals(medianArrival([]), { median: NaN, censored: 0, n: 0 });
  assertEquals(medianArrival([{ steps: 9, censored: true }]), { median: Infinity, censored: 1, n: 1 });
});

Deno.test("medianArrival() of an even number of runs that all arrive takes a half for a half", () => {
  for (let n = 2; n <= 60; n += 2) {
    const arrivals = Array.from({ length: n }, (_, i) => ({ steps: i + 1, censored: false }));
    assertEquals(medianArrival(arrivals).median, n / 2);
  }
});
