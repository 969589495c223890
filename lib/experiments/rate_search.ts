/** Learning rates that are tried: half decades from 1e-6 to 1. */
export const RATES: readonly number[] = [
  ...[1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3],
  ...[3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1],
];

/** Looks that find any optimum of a loss with one valley between 1e-5 and 1e-1, with two tried rates on either side. */
export const LOOKS = 7;

/** First looks, a decade apart. */
const COARSE = [1e-3, 1e-4, 1e-2];

/** Tried rates that an optimum needs on either side before it counts. */
const BEYOND = 2;

/** The tried rate of the lowest loss; a loss that is no number counts as infinite. Undefined where nothing was tried. */
export function bestRate(tried: ReadonlyMap<number, number>): number | undefined {
  let best: number | undefined;
  for (const rate of tried.keys()) {
    if (best === undefined || cost(tried, rate) < cost(tried, best)) best = rate;
  }
  return best;
}

/** How many tried rates lie below and above the best one; the optimum counts with two on either side. */
export function bracket(
  tried: ReadonlyMap<number, number>,
): { below: number; above: number; counts: boolean } {
  const best = bestRate(tried) ?? NaN;
  const below = [...tried.keys()].filter((rate) => rate < best).length;
  const above = [...tried.keys()].filter((rate) => rate > best).length;
  return { below, above, counts: Math.min(below, above) >= BEYOND };
}

/**
 * The learning rate to try next: three a decade apart; then, where the best so far has no tried rate on one side, the
 * next one there, until the loss rises again; then its nearest untried neighbours, on the better side first.
 *
 * Own construction: a loss over log rate has one valley in all sweeps of this project, and the nearest neighbours show
 * both where it is and how wide.
 *
 * @param tried Validation loss by learning rate.
 * @returns Undefined where all neighbours up to two steps away were tried, or lie beyond the grid.
 */
export function nextRate(tried: ReadonlyMap<number, number>): number | undefined {
  const first = COARSE.find((rate) => !tried.has(rate));
  if (first !== undefined) return first;
  const at = RATES.indexOf(bestRate(tried)!);
  for (let distance = 1; distance <= BEYOND; distance++) {
    const sides = [RATES.slice(0, at).reverse(), RATES.slice(at + 1)]
      .map((rates) => ({ rate: rates[distance - 1], loss: nearest(tried, rates) }))
      .filter(({ rate }) => rate !== undefined && !tried.has(rate))
      .sort((a, b) => a.loss - b.loss);
    if (sides.length) return sides[0].rate;
  }
}

/** Loss at the first of `rates` that was tried; where none was, the valley may go on, so that no loss is lower. */
function nearest(tried: ReadonlyMap<number, number>, rates: readonly number[]): number {
  const rate = rates.find((rate) => tried.has(rate));
  return rate === undefined ? -Infinity : cost(tried, rate);
}

function cost(tried: ReadonlyMap<number, number>, rate: number): number {
  const loss = tried.get(rate)!;
  return Number.isNaN(loss) ? Infinity : loss;
}
