import { indicationNote } from "./contrast.ts";
import type { Figure, Series } from "./figure.ts";
import { groupRuns, methodKey, methodName, rateName, type RunGroup, type RunRow } from "./rows.ts";
import { type Interval, INTERVAL_NOTE, mean, meanInterval, pairedInterval } from "./statistics.ts";
import { differenceText, type Verdict } from "./verdicts.ts";

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
  const all = groups.map((group): Trade => ({
    method: group.method,
    rate: group.rate,
    gain: mean(group.rows.map(gain)),
    forgetting: meanInterval(group.rows.map(({ final }) => final.forgetting!)),
    isFront: false,
  }));
  return all.map((trade) => ({ ...trade, isFront: !all.some((other) => beats(other, trade)) }))
    .sort((a, b) => order(groups, a) - order(groups, b) || a.gain - b.gain);
}

/** Forgetting against gain, a panel for each base: each method's rates as points, its front as a line. */
export function paretoFigure(rows: readonly RunRow[]): Figure {
  const bases = [...Map.groupBy(rows, ({ config }) => config.model)];
  const panels = bases.map(([model, rows]) => ({ model, all: trades(rows) }));
  const beaten = panels.flatMap(({ model, all }) =>
    [...Map.groupBy(all.filter(({ isFront }) => !isFront), ({ method }) => method)].map(
      ([method, trades]) => {
        const rates = trades.map(({ rate }) => rate).sort((a, b) => a - b).map(rateName).join(" ");
        return `${methodName(method)} ${rates}${bases.length > 1 ? ` on ${model}` : ""}`;
      },
    )
  );
  return {
    title: "What is forgotten for what is learnt",
    caption: `Each point a learning rate, mean and ${INTERVAL_NOTE} over runs; lower right is better. ` +
      (beaten.length ? `Left out, as another rate of the method beats them: ${beaten.join(", ")}.` : ""),
    panels: panels.map(({ model, all }) => ({
      ...(bases.length > 1 && { title: model ?? "" }),
      xLabel: "gain on the target (nats/token)",
      yLabel: "loss gained on general text (nats/token)",
      series: [...new Set(all.map(({ method }) => method))]
        .map((method) => series(method, all.filter((trade) => trade.method === method && trade.isFront))),
    })),
  };
}

/** What two methods paid for the same gain: one base, permutation and seed. */
export interface EqualGain {
  /** The base model, as the config names it. */
  readonly model: string | undefined;
  /** Seed of both. */
  readonly seed: number;
  /** The gain, nats per token: the smaller of the two methods' largest. */
  readonly gain: number;
  /** What the first and the second paid. */
  readonly paid: readonly [number, number];
}

/** What a gain may have cost. */
export type Price = "forgetting" | "divergence";

/**
 * What two methods pay for equal gains, for every base, permutation and seed on which both ran at some rates: along
 * each method's rates, from its smallest gain up to its largest, what is paid is taken as linear in the gain. Left out
 * where one of them gained more at its lowest rate than the other at any: what less would have cost it is not known.
 *
 * Own construction: at their own best rates methods gain differently, and what is forgotten follows what is gained
 * (arXiv:2401.05605), so a difference there says little.
 *
 * @param methods Keys of the two methods (`methodKey`).
 */
export function atEqualGain(
  rows: readonly RunRow[],
  methods: readonly [string, string],
  price: Price = "forgetting",
): EqualGain[] {
  const place = ({ config: { model, permutation, seed } }: RunRow) => `${model}\n${permutation}\n${seed}`;
  const measured = rows.filter(({ diverged, final }) =>
    !diverged && isNumber(final.test) && isNumber(final[price])
  );
  return [...Map.groupBy(measured, place).values()].flatMap((runs) => {
    const [a, b] = methods.map((method) =>
      path(runs.filter(({ config }) => methodKey(config) === method), price)
    );
    if (!a || !b) return [];
    const gain = Math.min(a.at(-1)!.gain, b.at(-1)!.gain);
    if (gain < Math.max(a[0].gain, b[0].gain)) return [];
    const { model, seed } = runs[0].config;
    return [{ model, seed, gain, paid: [paidFor(a, gain), paidFor(b, gain)] as const }];
  });
}

/**
 * Whether OLoRA forgets less than each other method at equal gain, by the 95 % interval (`meanInterval`) over bases and
 * seeds; inconclusive with fewer than two of them.
 *
 * @param others Keys of the methods it is set against.
 */
export function forgettingVerdicts(rows: readonly RunRow[], others: readonly string[]): Verdict[] {
  return others.map((other) => {
    const pairs = atEqualGain(rows, ["olora", other]);
    const paid = pairs.map(({ paid }) => paid);
    const bases = new Set(pairs.map(({ model }) => model)).size;
    const [a, b] = [0, 1].map((i) => paid.map((pair) => pair[i]));
    const difference = pairedInterval(a, b);
    const effect = differenceText(difference, "nats");
    const name = other === "full" ? "full fine-tuning" : methodName(other);
    return {
      claim: `OLoRA forgets less than ${name} at equal gain`,
      outcome: difference.high < 0 ? "held" : difference.low > 0 ? "refuted" : "inconclusive",
      sentence: paid.length < 2
        ? "Fewer than two bases or seeds have both."
        : `Loss gained on general text ${mean(a).toFixed(3)} (${name} ${
          mean(b).toFixed(3)
        }): a difference of ` +
          `${effect}.${indicationNote({ difference, bases })}`,
      effect,
    };
  });
}

interface Step {
  readonly gain: number;
  readonly paid: number;
}

/** Gain and price by ascending rate up to the largest gain, rates that gain less than a lower one left out. */
function path(runs: readonly RunRow[], price: Price): Step[] | undefined {
  const steps: Step[] = [];
  for (const row of runs.toSorted((a, b) => a.config.learningRate - b.config.learningRate)) {
    if (gain(row) > (steps.at(-1)?.gain ?? 0)) steps.push({ gain: gain(row), paid: row.final[price]! });
  }
  return steps.length ? steps : undefined;
}

function paidFor(steps: readonly Step[], gain: number): number {
  const i = steps.findIndex((step) => step.gain >= gain);
  const [from, to] = [steps[i - 1], steps[i]];
  if (to.gain === gain) return to.paid;
  return from.paid + (gain - from.gain) / (to.gain - from.gain) * (to.paid - from.paid);
}

/** Loss before training minus test loss at the end, nats per token. */
function gain({ curve, final }: RunRow): number {
  return curve[0].loss - final.test!;
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
