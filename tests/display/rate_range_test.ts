import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { rateRange } from "../../lib/display/rate_range.ts";
import { readFixture } from "../helpers/fixtures.ts";

interface RangeCase {
  rates: number[];
  losses: number[];
  low: number;
  high: number;
}

const { ranges } = await readFixture<{ ranges: RangeCase[] }>("run_statistics.json");

for (const { rates, losses, low, high } of ranges) {
  Deno.test(`rateRange() ends where NumPy's interpolation in log rate crosses 1 %: ${losses}`, () => {
    const points = rates.map((rate, i) => ({ rate, loss: losses[i] }));
    const found = rateRange(points.toReversed())!;
    assertEquals(found.best, rates[losses.indexOf(Math.min(...losses))]);
    assertAlmostEquals(found.low, low, 1e-9 * low);
    assertAlmostEquals(found.high, high, 1e-9 * high);
    assertAlmostEquals(found.decades, Math.log10(high / low), 1e-9);
    const limit = 1.01 * Math.min(...losses);
    assertEquals(found.open, losses[0] <= limit || losses.at(-1)! <= limit);
  });
}

Deno.test("rateRange() ends at the last finite rate beside one that diverged", () => {
  const points = [[1e-3, 2], [1e-2, 1], [3e-2, 1.005], [1e-1, Infinity], [1, NaN]].map(([rate, loss]) => ({
    rate,
    loss,
  }));
  const found = rateRange(points)!;
  assertEquals([found.best, found.high, found.open], [1e-2, 3e-2, false]);
  assertEquals(rateRange([{ rate: 1, loss: Infinity }, { rate: 2, loss: NaN }]), undefined);
  assertEquals(rateRange([]), undefined);
});

Deno.test("rateRange() of one rate is that rate, and open; a second valley apart is left out", () => {
  assertEquals(rateRange([{ rate: 0.1, loss: 3 }]), {
    best: 0.1,
    low: 0.1,
    high: 0.1,
    decades: 0,
    open: true,
  });
  const valleys = [1, 2, 1.001, 2].map((loss, i) => ({ rate: 10 ** i, loss }));
  const { low, high } = rateRange(valleys)!;
  assertEquals(low, 1);
  assertAlmostEquals(high, 10 ** 0.01, 1e-9);
});

Deno.test("rateRange() refuses a rate that has no logarithm", () => {
  for (const rate of [0, -1, NaN, Infinity]) {
    assertThrows(() => rateRange([{ rate, loss: 1 }]), RangeError, `with ${rate}: expected numbers > 0`);
  }
});
