import { assert, assertEquals } from "@std/assert";
import { bestRate, bracket, nextRate, RATES } from "../../lib/experiments/rate_search.ts";

/** Follows the search on a loss that is a function of the rate, at most `most` looks. */
function search(loss: (rate: number) => number, most = 20): Map<number, number> {
  const tried = new Map<number, number>();
  for (let rate = nextRate(tried); rate !== undefined && tried.size < most; rate = nextRate(tried)) {
    assert(!tried.has(rate), `${rate} was tried twice`);
    assert(RATES.includes(rate), `${rate} is not on the grid`);
    tried.set(rate, loss(rate));
  }
  return tried;
}

for (const best of RATES) {
  Deno.test(`nextRate() finds the valley at ${best}, with two rates beyond it where the grid has them`, () => {
    const at = RATES.indexOf(best);
    const tried = search((rate) => Math.abs(RATES.indexOf(rate) - at));
    assertEquals(bestRate(tried), best);
    const { below, above } = bracket(tried);
    assert(below >= Math.min(2, at) && above >= Math.min(2, RATES.length - 1 - at));
    assert(tried.size <= 7, `${tried.size} looks`);
  });
}

Deno.test("nextRate() goes to the better side first, and diverged runs count as infinite", () => {
  const tried = new Map([[1e-3, 1], [1e-4, 1.5], [1e-2, NaN]]);
  assertEquals(nextRate(tried), 3e-4);
  assertEquals(bestRate(tried), 1e-3);
  assertEquals(nextRate(new Map([[1e-3, 1], [1e-4, 1.5], [1e-2, 1.2]])), 3e-3);
});

Deno.test("bracket() says that an optimum at the edge does not count", () => {
  assertEquals(bracket(search((rate) => rate)), { below: 0, above: 5, counts: false });
  assertEquals(bracket(new Map()), { below: 0, above: 0, counts: false });
});

Deno.test("nextRate() keeps to a budget of three looks a decade apart", () => {
  assertEquals([...search((rate) => rate, 3).keys()], [1e-3, 1e-4, 1e-2]);
});
