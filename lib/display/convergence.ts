import type { Figure, Panel, Scale, Series } from "./figure.ts";
import {
  endLoss,
  finalLoss,
  groupRuns,
  methodName,
  rateName,
  type RunGroup,
  type RunRow,
  runsAtBestRate,
  runsAtRate,
} from "./rows.ts";
import {
  areaUnderCurve,
  type Arrival,
  earlySpike,
  type Interval,
  INTERVAL_NOTE,
  mean,
  meanInterval,
  stepsTo,
} from "./statistics.ts";
import { medianArrival } from "./survival.ts";
import { type Cell, formatFixed, formatNumber, type Table } from "./table.ts";

/** Shares of LoRA's own improvement whose arrival is timed. */
export const THRESHOLDS: readonly number[] = [0.5, 0.75, 0.9];

/**
 * Mean validation loss against steps, with the 95 % interval over runs. A curve ends where the first of its runs
 * does, so that no mean is over survivors alone.
 */
export function curveSeries(group: RunGroup): Series {
  const curves = group.rows.map(({ curve }) => new Map(curve.map(({ step, loss }) => [step, loss])));
  const points: { step: number; loss: Interval }[] = [];
  for (const { step } of group.rows[0].curve) {
    const losses = curves.map((curve) => curve.get(step) ?? NaN);
    if (!losses.every(Number.isFinite)) break;
    points.push({ step, loss: meanInterval(losses) });
  }
  return {
    name: methodName(group.method),
    role: group.method,
    x: points.map(({ step }) => step),
    y: points.map(({ loss }) => loss.mean),
    ...(group.rows.length > 1 && {
      low: points.map(({ loss }) => loss.low),
      high: points.map(({ loss }) => loss.high),
    }),
  };
}

/**
 * One panel with the mean curves of `groups`.
 *
 * @param live Runs made now, drawn solid over the others, which are dashed then.
 */
export function curvePanel(
  groups: readonly RunGroup[],
  title: string,
  live: readonly RunGroup[] = [],
): Panel {
  const dashed = live.length > 0;
  const series = [...groups.map((group) => ({ ...curveSeries(group), dashed })), ...live.map(curveSeries)];
  const start = startLoss([...groups, ...live]);
  const lowest = Math.min(
    ...series.flatMap(({ y, low }) => [...y, ...low ?? []]).filter(Number.isFinite),
    start,
  );
  const room = start - lowest || 1;
  return {
    title,
    xLabel: "optimiser steps",
    yLabel: "validation loss (nats/token)",
    series,
    ...(Number.isFinite(room) && { yRange: [lowest - 0.05 * room, start + 0.1 * room] as const }),
  };
}

/**
 * The convergence figure: every method at its own best learning rate, and all of them at the author's.
 *
 * @param live Runs made now at the best rates, drawn over the stored ones.
 * @param search Runs that the best rates are chosen by, where they are others.
 */
export function convergenceFigure(
  rows: readonly RunRow[],
  authorRate: number,
  live: readonly RunRow[] = [],
  search: readonly RunRow[] = rows,
): Figure {
  const best = runsAtBestRate(rows, search);
  const author = runsAtRate(rows, authorRate);
  const rates = best.map(({ method, rate }) => `${methodName(method)} ${rateName(rate)}`).join(", ");
  const panels = [curvePanel(best, "Each method at its own best rate", groupRuns(live))];
  if (author.length) panels.push(curvePanel(author, `All at the author's rate, ${rateName(authorRate)}`));
  return {
    title: "Validation loss during fine-tuning",
    caption:
      `Best rates: ${rates || "none"}. Mean and ${INTERVAL_NOTE} over ${countRuns([...best, ...author])}` +
      `${
        live.length
          ? ` a method (dashed, stored) and ${countRuns(groupRuns(live))} (solid, measured now)`
          : ""
      }. Losses far above the start are cut off.`,
    panels,
  };
}

/**
 * Final validation loss against the learning rate, all methods; each method's best rate is ringed.
 *
 * @param yScale `linear` (default) cuts off what lies far above the start; `log` shows all, and small losses apart.
 */
export function rateFigure(rows: readonly RunRow[], yScale: Scale = "linear"): Figure {
  const groups = groupRuns(rows);
  const best = runsAtBestRate(rows);
  const finite = groups.map(finalLoss).filter(Number.isFinite);
  const start = startLoss(groups);
  const room = start - Math.min(...finite, start) || 1;
  const methods = [...new Set(groups.map(({ method }) => method))];
  const series = methods.map((method): Series => {
    const own = groups.filter((group) => group.method === method);
    const intervals = own.map((group) => meanInterval(group.rows.map(endLoss)));
    const known = intervals.some(({ low }) => Number.isFinite(low));
    return {
      name: methodName(method),
      role: method,
      points: true,
      x: own.map(({ rate }) => rate),
      y: own.map(finalLoss),
      ...(known && { low: intervals.map(({ low }) => low), high: intervals.map(({ high }) => high) }),
    };
  });
  const diverged = groups.flatMap(({ method, rate, rows }) => {
    const count = rows.filter((row) => endLoss(row) === Infinity).length;
    return count ? [`${methodName(method)} at ${rateName(rate)} (${count} of ${rows.length})`] : [];
  });
  return {
    title: "Final loss against the learning rate",
    caption: `Mean and ${INTERVAL_NOTE} over ${countRuns(groups)}; ringed: each method's best rate.` +
      (diverged.length ? ` Diverged, so left out: ${diverged.join(", ")}.` : ""),
    panels: [{
      xLabel: "learning rate",
      yLabel: "final loss (nats/token)",
      xScale: "log",
      yScale,
      series,
      ...(yScale === "linear" && Number.isFinite(room) &&
        { yRange: [start - 1.12 * room, start + 0.12 * room] as const }),
      marks: [
        ...(Number.isFinite(start) ? [{ y: start, label: "before training" }] : []),
        ...best.map((group) => ({ x: group.rate, y: finalLoss(group), role: group.method })),
      ],
    }],
  };
}

/** One stop of the learning-rate slider: the curves there, and what they say in a sentence. */
export interface RateStop {
  /** Learning rate. */
  readonly rate: number;
  /** Curves of all methods run at this rate. */
  readonly panel: Panel;
  /** Key of the method whose mean final loss is lowest there; undefined if every method diverged. */
  readonly winner: string | undefined;
  /** Final losses there, lowest first, in words. */
  readonly sentence: string;
}

/** A stop for every learning rate of `rows`, ascending, all on the same y axis. */
export function rateStops(rows: readonly RunRow[]): RateStop[] {
  const groups = groupRuns(rows);
  const rates = [...new Set(groups.map(({ rate }) => rate))].sort((a, b) => a - b);
  const { yRange } = curvePanel(groups, "");
  return rates.map((rate) => {
    const here = groups.filter((group) => group.rate === rate);
    const panel = { ...curvePanel(here, ""), ...(yRange && { yRange }) };
    return { rate, panel, ...rankAtRate(here) };
  });
}

function rankAtRate(groups: readonly RunGroup[]): { winner: string | undefined; sentence: string } {
  const ranked = groups.filter((group) => Number.isFinite(finalLoss(group)))
    .sort((a, b) => finalLoss(a) - finalLoss(b));
  const failed = groups.filter((group) => !ranked.includes(group)).map(({ method }) => methodName(method));
  const parts = ranked.map((group) => `${methodName(group.method)} ${finalLoss(group).toFixed(3)}`);
  const losses = parts.length
    ? `Final loss, lowest first: ${parts.join(", ")}.`
    : "No run ended with a finite loss.";
  const sentence = failed.length ? `${losses} Diverged: ${failed.join(", ")}.` : losses;
  return { winner: ranked[0]?.method, sentence };
}

/** Loss before training, mean over all runs; nats per token. */
export function startLoss(groups: readonly RunGroup[]): number {
  return mean(
    groups.flatMap(({ rows }) => rows.map(({ curve }) => curve[0]?.loss ?? NaN)).filter(Number.isFinite),
  );
}

/** For each base model the losses whose arrival is timed, in the order of `THRESHOLDS`. */
export type LossThresholds = ReadonlyMap<string | undefined, readonly number[]>;

/**
 * Losses at which LoRA has made each share of `THRESHOLDS` of its own improvement on a base: from the loss before
 * training to LoRA's mean loss at the end of its curves there. Undefined without LoRA, or if LoRA did not improve on one.
 */
export function lossThresholds(groups: readonly RunGroup[]): LossThresholds | undefined {
  const lora = groups.find(({ method }) => method === "lora");
  if (!lora) return undefined;
  const found = new Map<string | undefined, number[]>();
  for (const [model, rows] of Map.groupBy(lora.rows, ({ config }) => config.model)) {
    const start = startLoss([{ ...lora, rows }]);
    const end = mean(rows.map(({ curve }) => curve.at(-1)?.loss ?? NaN));
    if (!(end < start)) return undefined;
    found.set(model, THRESHOLDS.map((share) => start - share * (start - end)));
  }
  return found;
}

/** The last step that every run which did not diverge has reached. */
export function commonHorizon(groups: readonly RunGroup[]): number {
  const rows = groups.flatMap((group) => group.rows).filter(({ diverged }) => !diverged);
  return Math.min(...rows.map(({ curve }) => curve.at(-1)?.step ?? 0));
}

/**
 * When each run of the group reached threshold `i` of its base; runs that never did, and runs on a base without
 * thresholds, count with `horizon` steps.
 */
export function arrivals(
  { rows }: RunGroup,
  thresholds: LossThresholds,
  i: number,
  horizon: number,
): Arrival[] {
  return rows.map(({ curve, config }) => {
    const threshold = thresholds.get(config.model)?.[i] ?? -Infinity;
    const arrival = stepsTo(curve.filter(({ step }) => step <= horizon), threshold);
    return arrival.censored ? { steps: horizon, censored: true } : arrival;
  });
}

/** Mean loss of each run over the first `horizon` steps, nats per token; NaN for a run that diverged. */
export function areas({ rows }: RunGroup, horizon: number): number[] {
  return rows.map(({ diverged, curve }) =>
    diverged ? NaN : areaUnderCurve(curve.filter(({ step }) => step <= horizon))
  );
}

/**
 * The comparison as a table: a row for each measure, a column for each method; mean ± half of the 95 % interval
 * over runs. What the spectrum of dW says has rows where some run measured it.
 *
 * @param groups One group for each method: `runsAtBestRate` or `runsAtRate`.
 */
export function convergenceTable(groups: readonly RunGroup[], title: string): Table {
  const thresholds = lossThresholds(groups);
  const horizon = commonHorizon(groups);
  const measure = (name: string, cell: (group: RunGroup) => Cell): Cell[] => [name, ...groups.map(cell)];
  const mean = (name: string, value: (row: RunRow) => number | null | undefined) =>
    measure(name, ({ rows }) => formatMean(rows.map((row) => value(row) ?? NaN)));
  const learnt = [
    mean("‖dW‖ / ‖W‖", ({ spectrum }) => spectrum?.relativeNorm),
    mean("Effective rank of dW", ({ spectrum }) => spectrum?.effectiveRank),
    mean("dW in W's first directions (%)", ({ spectrum }) => 100 * (spectrum?.overlap?.top ?? NaN)),
    mean("dW in W's last directions (%)", ({ spectrum }) => 100 * (spectrum?.overlap?.bottom ?? NaN)),
  ];
  return {
    title,
    columns: ["", ...groups.map(({ method }) => methodName(method))],
    rows: [
      measure("Learning rate", ({ rate }) => rateName(rate)),
      measure("Runs", ({ rows }) => rows.length),
      ...THRESHOLDS.map((share, i) =>
        measure(
          `Steps to ${share * 100} % of LoRA's improvement`,
          (group) => thresholds ? formatArrivals(arrivals(group, thresholds, i, horizon)) : null,
        )
      ),
      measure("Area under the curve (mean loss)", (group) => formatMean(areas(group, horizon))),
      mean("Early rise above the start", ({ curve }) => earlySpike(curve)),
      mean("Final validation loss", ({ final }) => final.validation),
      mean("Final test loss", ({ final }) => final.test),
      mean("Task accuracy (%)", ({ final }) => 100 * (final.accuracy ?? NaN)),
      mean("Forgetting (against the base)", ({ final }) => final.forgetting),
      mean("Trained parameters", ({ trainable }) => trainable),
      mean("Peak device memory (MB)", ({ deviceBytes }) => deviceBytes / 1e6),
      mean("Initialisation (ms)", ({ initMs }) => initMs),
      mean("Training step (ms)", ({ secondsPerStep = NaN }) => 1000 * secondsPerStep),
      ...learnt.filter(([, ...cells]) => cells.some((cell) => cell !== null)),
    ],
    note:
      `Mean ± half of the ${INTERVAL_NOTE} over runs. Losses in nats per token, forgetting is the loss gained on ` +
      "general text against the untouched base, " +
      `curves over the first ${
        formatNumber(horizon)
      } steps, the early rise over the first tenth of them. Where some runs never arrived, steps are the Kaplan–Meier median.`,
  };
}

/** Mean ± half of the interval of the values that were measured, and how many those are if not all. */
function formatMean(values: readonly number[]): string | null {
  const known = values.filter(Number.isFinite);
  if (!known.length) return null;
  const text = formatInterval(meanInterval(known));
  return known.length < values.length ? `${text} (${known.length} of ${values.length} runs)` : text;
}

/** `mean ± half`, with as many decimals as the half-width has at two digits. */
export function formatInterval({ mean, low, high }: Interval): string {
  const half = (high - low) / 2;
  if (!(half > 0)) return formatNumber(mean);
  const decimals = Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(half))));
  return `${formatFixed(mean, decimals)} ± ${formatFixed(half, decimals)}`;
}

function formatArrivals(arrivals: readonly Arrival[]): string {
  const late = arrivals.filter(({ censored }) => censored).length;
  if (!late) return formatInterval(meanInterval(arrivals.map(({ steps }) => steps)));
  return `median ${formatNumber(medianArrival(arrivals).median, 3)} (${late} of ${arrivals.length} never)`;
}

/** `3 to 5 runs`, or `5 runs` where all groups have as many. */
function countRuns(groups: readonly RunGroup[]): string {
  if (!groups.length) return "no runs";
  const counts = groups.map(({ rows }) => rows.length);
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  return low === high ? `${low} run${low === 1 ? "" : "s"}` : `${low} to ${high} runs`;
}
