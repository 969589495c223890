import { startLoss } from "./convergence.ts";
import type { Figure, Series } from "./figure.ts";
import { groupRuns, methodName, rateName, type RunGroup, type RunRow } from "./rows.ts";
import { type Interval, INTERVAL_NOTE, mean, meanInterval } from "./statistics.ts";

/** What a method at one learning rate gained on its target, and what it forgot for it. */
export interface Trade {
  /** Colour key, `methodKey` of the runs. */
  readonly method: string;
  /** Learning rate. */
  readonly rate: number;
  /** Loss before training minus test loss at the end, nats per token: mean over runs. */
  readonly gain: number;
  /** Loss gained on general text against the untouched base, nats per token: mean and 95 % interval over runs. */
  readonly forgetting: Interval;
  /** No trade of the same method gains as much and forgets less, or gains more and forgets as little. */
  readonly isFront: boolean;
}

/**
 * The trades of `rows`, one for each method and rate none of whose runs diverged, by method and ascending gain.
 *
 * Methods compare at equal gain only: forgetting follows the fine-tuning loss (Kalajdzievski 2024, arXiv:2401.05605), so
 * at one rate the method that learns less looks as if it forgot less.
 */
export function trades(rows: readonly RunRow[]): Trade[] {
  const groups = groupRuns(rows).filter(({ rows }) =>
    rows.every(({ diverged, final }) => !diverged && isNumber(final.test) && isNumber(final.forgetting))
  );
  const start = startLoss(groups);
  const all = groups.map((group): Trade => ({
    method: group.method,
    rate: group.rate,
    gain: start - mean(group.rows.map(({ final }) => final.test!)),
    forgetting: meanInterval(group.rows.map(({ final }) => final.forgetting!)),
    isFront: false,
  }));
  return all.map((trade) => ({ ...trade, isFront: !all.some((other) => beats(other, trade)) }))
    .sort((a, b) => order(groups, a) - order(groups, b) || a.gain - b.gain);
}

/** Forgetting against gain: all rates of each method as points, their fronts as lines. */
export function paretoFigure(rows: readonly RunRow[]): Figure {
  const all = trades(rows);
  const methods = [...new Set(all.map(({ method }) => method))];
  const fronts = methods.map((method): Series => {
    const own = all.filter((trade) => trade.method === method && trade.isFront);
    return series(method, own);
  });
  const beaten = all.filter(({ isFront }) => !isFront)
    .map(({ method, rate }) => `${methodName(method)} ${rateName(rate)}`);
  return {
    title: "What is forgotten for what is learnt",
    caption: `Each point a learning rate, mean and ${INTERVAL_NOTE} over runs; lower right is better. ` +
      (beaten.length ? `Left out, as another rate of the method beats them: ${beaten.join(", ")}.` : ""),
    panels: [{
      xLabel: "gain on the target (nats/token)",
      yLabel: "loss gained on general text (nats/token)",
      series: fronts,
    }],
  };
}

function series(method: string, points: readonly Trade[]): Series {
  const known = points.some(({ forgetting }) => Number.isFinite(forgetting.low));
  return {
    name: methodName(method),
    role: method,
    points: true,
    x: points.map(({ gain }) => gain),
    y: points.map(({ forgetting }) => forgetting.mean),
    ...(known && {
      low: points.map(({ forgetting }) => forgetting.low),
      high: points.map(({ forgetting }) => forgetting.high),
    }),
  };
}

function beats(a: Trade, b: Trade): boolean {
  if (a.method !== b.method) return false;
  const [less, more] = [a.forgetting.mean - b.forgetting.mean, a.gain - b.gain];
  return less <= 0 && more >= 0 && (less < 0 || more > 0);
}

function order(groups: readonly RunGroup[], { method }: Trade): number {
  return groups.findIndex((group) => group.method === method);
}

function isNumber(x: number | null | undefined): boolean {
  return typeof x === "number" && Number.isFinite(x);
}
