import { testLoss } from "./contrast.ts";
import type { Figure, Series } from "./figure.ts";
import { methodName, rateName } from "./rows.ts";
import { findSetting, notMeasured, type Setting, settingRuns, settingVerdict } from "./settings.ts";
import { INTERVAL_NOTE, mean, meanInterval } from "./statistics.ts";
import { formatFixed, formatNumber, type Table } from "./table.ts";
import { MEMORY_MARGIN, type Verdict } from "./verdicts.ts";

/** Share by which two numbers of trained parameters may differ and still be about equal. */
const PARAMETER_MARGIN = 0.1;

const FROZEN = "olora-freeze-B";

/**
 * Verdicts on fewer parameters and less memory (C1): what OLoRA trains and needs with Q frozen, against LoRA at the same
 * rank, and how its loss compares with LoRA's where both train about as many parameters (within 10 %).
 *
 * @param settings `bestSettings` over ranks.
 * @param rank Rank that parameters and memory are compared at.
 */
export function parameterVerdicts(settings: readonly Setting[], rank: number): Verdict[] {
  const [frozen, lora] = [FROZEN, "lora"].map((method) => findSetting(settings, { method, rank }));
  return [
    countVerdict("OLoRA with Q frozen trains fewer parameters than LoRA at equal rank", frozen, lora),
    memoryVerdict("OLoRA with Q frozen needs less device memory than LoRA at equal rank", frozen, lora),
    equalVerdict(
      `OLoRA with Q frozen at rank ${rank} does as well as LoRA with as many parameters`,
      settings,
      frozen,
      closest(settings, "lora", frozen),
    ),
    equalVerdict(
      `OLoRA with Q frozen does as well as LoRA at rank ${rank} with as many parameters`,
      settings,
      closest(settings, FROZEN, lora),
      lora,
    ),
  ];
}

/**
 * Verdicts on one factor fixed and the other trained (C2), each against OLoRA, which trains both: Q frozen at equal rank and
 * at equal parameters (within 10 %), R frozen, and Q kept orthonormal.
 *
 * @param settings `bestSettings` over ranks.
 * @param rank OLoRA's rank.
 */
export function frozenVerdicts(settings: readonly Setting[], rank: number): Verdict[] {
  const olora = findSetting(settings, { method: "olora", rank });
  const asWell = (what: string, method: string) =>
    settingVerdict(
      `OLoRA with ${what} does as well as OLoRA at equal rank`,
      settings,
      [{ method, rank }, { method: "olora", rank }],
      "as low",
    );
  return [
    asWell("Q frozen", FROZEN),
    equalVerdict(
      "OLoRA with Q frozen does as well as OLoRA with as many parameters",
      settings,
      closest(settings, FROZEN, olora),
      olora,
    ),
    asWell("R frozen", "olora-freeze-A"),
    asWell("Q kept orthonormal", "olora-keep-orthonormal"),
  ];
}

/** Each setting: what it trains, what memory that took on `device`, and where its test loss ended. */
export function parameterTable(settings: readonly Setting[], device: string): Table {
  return {
    title: "Parameters, memory and loss",
    columns: [
      "",
      "Rank",
      "Trained parameters",
      "Memory (MB)",
      "Best rate",
      "Runs",
      "Test loss",
      "‖BᵀB − I‖",
    ],
    rows: byRank(settings).map((setting) => {
      const runs = settingRuns(setting);
      const drift = runs.map(({ spectrum }) => spectrum?.drift ?? NaN);
      return [
        methodName(setting.method),
        setting.rank ?? null,
        trainable(setting),
        megabytes(setting, device),
        rateName(setting.rate) + (setting.counts ? "" : " (edge)"),
        runs.length,
        mean(runs.map(testLoss)),
        mean(drift),
      ];
    }),
    note:
      `Memory: highest number of live bytes on ${device}, where it was measured there. Test losses in nats per token, ` +
      "means over runs. ‖BᵀB − I‖: how far B ended from orthonormal, Frobenius norm, mean over layers, where it was measured. Edge: " +
      "fewer than two tried rates on one side of the best, so it is no optimum.",
  };
}

/** Test loss and memory against trained parameters, a curve for each method over its ranks. */
export function parameterFigure(settings: readonly Setting[], device: string): Figure {
  const methods = [...Map.groupBy(settings, ({ method }) => method)];
  const sorted = methods.map(([method, own]) =>
    [method, own.toSorted((a, b) => trainable(a) - trainable(b))] as const
  );
  const axis = { xLabel: "trained parameters", xScale: "log" as const };
  return {
    title: "Loss and memory for trained parameters",
    caption: "Each point a rank at its best rate; the lines join a method's ranks. Loss: mean and " +
      `${INTERVAL_NOTE} over runs. Memory: highest number of live bytes on ${device}.`,
    panels: [
      {
        ...axis,
        title: "Loss",
        yLabel: "final test loss (nats/token)",
        series: sorted.map(([method, own]) => lossSeries(method, own)),
      },
      {
        ...axis,
        title: "Memory",
        yLabel: "device memory at the peak (MB)",
        series: sorted.map(([method, own]) => ({
          ...pointsOf(method, own),
          y: own.map((setting) => megabytes(setting, device) ?? NaN),
        })),
      },
    ],
  };
}

function lossSeries(method: string, settings: readonly Setting[]): Series {
  const losses = settings.map((setting) => meanInterval(settingRuns(setting).map(testLoss)));
  const known = losses.some(({ low }) => Number.isFinite(low));
  return {
    ...pointsOf(method, settings),
    y: losses.map(({ mean }) => mean),
    ...(known && { low: losses.map(({ low }) => low), high: losses.map(({ high }) => high) }),
  };
}

function pointsOf(method: string, settings: readonly Setting[]): Omit<Series, "y"> {
  return { name: methodName(method), role: method, points: true, x: settings.map(trainable) };
}

/** The setting of `method`, at any rank, that trains about as many parameters as `other`. */
function closest(settings: readonly Setting[], method: string, other?: Setting): Setting | undefined {
  if (!other) return undefined;
  const distance = (setting: Setting) => Math.abs(trainable(setting) / trainable(other) - 1);
  return settings.filter((setting) => setting.method === method && distance(setting) <= PARAMETER_MARGIN)
    .sort((a, b) => distance(a) - distance(b))[0];
}

function equalVerdict(claim: string, settings: readonly Setting[], a?: Setting, b?: Setting): Verdict {
  if (!a || !b) return notMeasured(claim, "both");
  const name = `${methodName(b.method)} at rank ${b.rank}`;
  const verdict = settingVerdict(claim, settings, [a, b], "as low", name);
  const counts = `Rank ${a.rank}, ${formatNumber(trainable(a))} trained parameters (${name}: ${
    formatNumber(trainable(b))
  }).`;
  return { ...verdict, sentence: `${counts} ${verdict.sentence}` };
}

function countVerdict(claim: string, a?: Setting, b?: Setting): Verdict {
  if (!a || !b) return notMeasured(claim, "both");
  const [few, all] = [a, b].map(trainable);
  return {
    claim,
    outcome: few < all ? "held" : "refuted",
    sentence: `${formatNumber(few)} trained parameters (${methodName(b.method)} ${
      formatNumber(all)
    }), counted exactly.`,
    effect: `${few > all ? "+" : ""}${formatNumber(few - all)} parameters`,
  };
}

function memoryVerdict(claim: string, a?: Setting, b?: Setting): Verdict {
  const device = a && b && [...b.fresh, ...b.search].map((row) => row.device)
    .find((device) => megabytes(a, device) !== null);
  if (!device) return notMeasured(claim, "both on one device");
  const [few, all] = [a, b].map((setting) => megabytes(setting, device)!);
  const effect = `${few > all ? "+" : ""}${formatFixed(100 * (few / all - 1), 1)} %`;
  return {
    claim,
    outcome: few < (1 - MEMORY_MARGIN) * all ? "held" : "refuted",
    sentence:
      `${formatNumber(few)} MB at the peak (${methodName(b.method)} ${
        formatNumber(all)
      } MB) on ${device}, a ` +
      `difference of ${effect}; up to ${100 * MEMORY_MARGIN} % less counts as the same.`,
    effect,
  };
}

/** Methods in their order, and the ranks of each ascending. */
function byRank(settings: readonly Setting[]): Setting[] {
  return [...Map.groupBy(settings, ({ method }) => method).values()]
    .flatMap((own) => own.toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0)));
}

function trainable(setting: Setting): number {
  return settingRuns(setting)[0].trainable;
}

/** Mean highest number of live bytes in the runs on `device`, MB; null where it was not run there. */
function megabytes({ search, fresh }: Setting, device: string): number | null {
  const rows = [...search, ...fresh].filter((row) => row.device === device);
  return rows.length ? mean(rows.map(({ deviceBytes }) => deviceBytes)) / 1e6 : null;
}
