import { assert, assertEquals } from "@std/assert";
import { bestRate, bracket, LOOKS, nextRate, RATES } from "../../lib/experiments/rate_search.ts";

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

for (const best of RATES.slice(2, -2)) {
  Deno.test(`nextRate() finds the valley at ${best} within ${LOOKS} looks, two rates beyond it on either side`, () => {
    const at = RATES.indexOf(best);
    // A valley of any slopes: the sides tell nothing of where the bottom is.
    for (const [left, right] of [[1, 1], [1, 9], [9, 1]]) {
      const tried = search((rate) => {
        const distance = RATES.indexOf(rate) - at;
        return distance < 0 ? -left * distance : right * distance;
      }, LOOKS);
      assertEquals(bestRate(tried), best);
      assert(bracket(tried).counts, [...tried.keys()].join());
      assert([at - 1, at + 1].every((next) => tried.has(RATES[next])), [...tried.keys()].join());
    }
  });
}

Deno.test("nextRate() goes to the better side first, and diverged runs count as infinite", () => {
  const tried = new Map([[1e-3, 1], [1e-4, 1.5], [1e-2, NaN]]);
  assertEquals(nextRate(tried), 3e-4);
  assertEquals(bestRate(tried), 1e-3);
  assertEquals(nextRate(new Map([[1e-3, 1], [1e-4, 1.5], [1e-2, 1.2]])), 3e-3);
});

Deno.test("nextRate() goes on towards the side of the best rate until the loss rises", () => {
  assertEquals([...search((rate) => -rate, LOOKS).keys()], [1e-3, 1e-4, 1e-2, 3e-2, 1e-1, 3e-1, 1]);
});

Deno.test("bracket() says that an optimum at the edge does not count", () => {
  assertEquals(bracket(search((rate) => rate)), { below: 0, above: 6, counts: false });
  assertEquals(bracket(new Map()), { below: 0, above: 0, counts: false });
});

Deno.test("nextRate() keeps to a budget of three looks a decade apart", () => {
  assertEquals([...search((rate) => rate, 3).keys()], [1e-3, 1e-4, 1e-2]);
});
