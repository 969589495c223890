/** The loss that a method ends with at one learning rate. */
export interface RateLoss {
  /** Learning rate, above 0. */
  readonly rate: number;
  /** Mean loss at the end, nats per token; infinity or NaN if it diverged. */
  readonly loss: number;
}

/** The learning rates around the best one that do about as well. */
export interface RateRange {
  /** The rate of the lowest loss, the lowest of several. */
  readonly best: number;
  /** Lowest rate that is good enough. */
  readonly low: number;
  /** Highest rate that is good enough. */
  readonly high: number;
  /** log₁₀(high / low): 0 where only the best one is. */
  readonly decades: number;
  /** An end is the end of the rates tried, so the range may be wider. */
  readonly open: boolean;
}

/**
 * The range of learning rates around the best whose loss is at most `share` above the lowest: how much it matters to
 * find the rate. Between rates that were tried the loss is taken as linear in log rate, and next to a rate that diverged
 * the range ends at its last finite one. Undefined if all diverged.
 *
 * Own construction, after the "width of the range within 1 % of the peak" in which studies of learning rates are read.
 *
 * @param points One for each rate, in any order.
 * @throws {RangeError} If a rate is not above 0.
 */
export function rateRange(points: readonly RateLoss[], share = 0.01): RateRange | undefined {
  const wrong = points.find(({ rate }) => !(rate > 0 && rate < Infinity));
  if (wrong) throw new RangeError(`Cannot find a range of rates with ${wrong.rate}: expected numbers > 0`);
  const sorted = points.toSorted((a, b) => a.rate - b.rate);
  const lowest = Math.min(...sorted.map(({ loss }) => loss).filter(Number.isFinite));
  if (lowest === Infinity) return undefined;
  const best = sorted.findIndex(({ loss }) => loss === lowest);
  const limit = lowest + share * Math.abs(lowest);
  const [down, up] = [sorted.slice(0, best + 1).reverse(), sorted.slice(best)].map((outwards) => {
    for (let i = 1; i < outwards.length; i++) {
      const [inside, outside] = [outwards[i - 1], outwards[i]];
      if (outside.loss <= limit) continue;
      const part = Number.isFinite(outside.loss) ? (limit - inside.loss) / (outside.loss - inside.loss) : 0;
      return { rate: inside.rate * (outside.rate / inside.rate) ** part, open: false };
    }
    return { rate: outwards[outwards.length - 1].rate, open: true };
  });
  return {
    best: sorted[best].rate,
    low: down.rate,
    high: up.rate,
    decades: Math.log10(up.rate / down.rate),
    open: down.open || up.open,
  };
}
