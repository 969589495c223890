import {
  type Contrast,
  contrastPairs,
  indicationNote,
  judgeContrast,
  pairRuns,
  replicate,
  testLoss,
} from "./contrast.ts";
import { dotPanel } from "./dots.ts";
import type { Panel } from "./figure.ts";
import { methodName, rateName } from "./rows.ts";
import { contrastSettings, edgeNote, type Setting, settingRuns } from "./settings.ts";
import { type Interval, mean, meanInterval } from "./statistics.ts";
import { type Cell, formatFixed, formatNumber, type Table } from "./table.ts";
import { differenceText, MATCH_MARGIN, type Verdict } from "./verdicts.ts";

/** One part of OLoRA's start changed, and the claim that this costs nothing. */
export interface VariantClaim {
  /** The claim. */
  readonly claim: string;
  /** `methodKey` of the settings that change this part and no other. */
  readonly methods: readonly string[];
}

/** What can be changed of OLoRA's start: the basis, the orthonormality, the size, and what training does with them. */
export const VARIANT_CLAIMS: readonly VariantClaim[] = [
  {
    claim: "Another orthonormal basis does as well as the first columns of W",
    methods: ["olora-basis-last", "olora-basis-pivoted", "olora-basis-random"],
  },
  {
    claim: "A start from W whose B has no orthonormal columns does as well",
    methods: ["olora-basis-rows", "pissa"],
  },
  {
    claim: "The same start with another balance between the sizes of B and A does as well",
    methods: ["olora-balance-4", "olora-balance-0.25"],
  },
  {
    claim: "LoRA's own start with A as large as OLoRA's does as well",
    methods: ["lora-norm-olora"],
  },
  { claim: "B kept orthonormal throughout does as well", methods: ["olora-keep-orthonormal"] },
  { claim: "The same factors without the subtraction do as well", methods: ["olora-subtract-false"] },
];

/**
 * Verdicts on `VARIANT_CLAIMS`, each variant against OLoRA by the paired difference in test loss: held if for every variant
 * the whole 95 % interval lies below 2 % of OLoRA's loss, refuted if for one it lies wholly above, else inconclusive. A best
 * rate at the edge of the rates tried decides nothing.
 *
 * Own construction: the ablations vary one part at a time and leave rank, scale s, data and steps as they are.
 *
 * @param settings One for each variant (`bestSettings` or `settingsAtRate`), OLoRA among them.
 * @param condition What the rates are, for the claims' ends.
 */
export function variantVerdicts(settings: readonly Setting[], condition: string): Verdict[] {
  const olora = settings.find(({ method }) => method === "olora");
  return VARIANT_CLAIMS.map(({ claim, methods }) => {
    const compared = methods.map((method) => {
      const setting = settings.find((other) => other.method === method && other.rank === olora?.rank);
      return { method, setting, contrast: setting && olora && contrastSettings(setting, olora) };
    });
    const measured = compared.filter(({ contrast }) => contrast !== undefined);
    const missing = compared.filter(({ contrast }) => !contrast).map(({ method }) => methodName(method));
    const edges = edgeNote([olora, ...measured.map(({ setting }) => setting)]);
    const outcomes = compared.map(({ setting, contrast }) =>
      contrast && !edgeNote([olora, setting]) ? judgeContrast(contrast, "as low") : "inconclusive"
    );
    const parts = [
      ...(measured.length ? [differences(measured.map(({ method, contrast }) => [method, contrast!]))] : []),
      ...(missing.length ? [`Not measured yet: ${missing.join("; ")}.`] : []),
      ...(edges ? [edges] : []),
    ];
    return {
      claim: `${claim}, ${condition}`,
      outcome: all(outcomes),
      sentence: parts.join(" "),
      effect: measured.length ? differenceText(highest(measured), "nats") : "not measured yet",
    };
  });
}

/** The number of comparisons that verdicts rest on, how many of them have an interval, and what chance would make of those. */
export function comparisonsNote(verdicts: readonly Verdict[]): string {
  const count = (pattern: RegExp) =>
    verdicts.reduce((sum, { sentence }) => sum + (sentence.match(pattern)?.length ?? 0), 0);
  const [decided, single] = [count(/95 % interval [^)]* pairs\)/g), count(/\(one pair, no interval\)/g)];
  const all = decided + single;
  if (!all) return "No comparison has been measured yet; each will be decided by a 95 % interval.";
  const counted = `${all} comparison${all === 1 ? "" : "s"}`;
  if (!decided) return `${counted}, none with a 95 % interval: one pair of runs decides nothing.`;
  const chance = formatNumber(0.05 * decided, 2);
  return `${counted}, ${decided} decided by a 95 % interval: of as many that differ in nothing, ${chance} would be expected ` +
    `to seem to.${single ? ` One pair of runs decides nothing, as in ${single} of them.` : ""}`;
}

/**
 * Every setting at its best rate and at the author's: losses, differences from OLoRA, and the share of OLoRA's lead over
 * LoRA at the author's rate that it keeps, (LoRA − it) / (LoRA − OLoRA), on the seeds that all three have.
 *
 * @param best `bestSettings`, all of one rank.
 * @param author `settingsAtRate` at the author's rate, of the same rank.
 */
export function variantTable(best: readonly Setting[], author: readonly Setting[]): Table {
  const olora = best.find(({ method }) => method === "olora");
  const rate = author.length ? rateName(author[0].rate) : "the author's rate";
  const rows = best.map((setting): Cell[] => {
    const runs = settingRuns(setting);
    const contrast = olora && setting !== olora ? contrastSettings(setting, olora) : undefined;
    const there = author.find(({ method }) => method === setting.method);
    const kept = there && leadKept(author, there);
    return [
      methodName(setting.method),
      rateName(setting.rate) + (setting.counts ? "" : " (edge)"),
      runs.length,
      mean(runs.map(testLoss)),
      contrast ? shortDifference(contrast) : null,
      mean(runs.map(({ final }) => final.forgetting ?? NaN)),
      there ? mean(settingRuns(there).map(testLoss)) : null,
      kept === undefined ? null : `${formatFixed(100 * kept, 0)} %`,
    ];
  });
  return {
    title: "Variants of the start",
    columns: [
      "",
      "Best rate",
      "Runs",
      "Test loss",
      "Minus OLoRA's",
      "Forgetting",
      `Test loss at ${rate}`,
      "Lead kept there",
    ],
    rows,
    note:
      "Losses in nats per token, means over runs; differences over the seeds that both have, ± half of the 95 % " +
      "interval where there are two or more. Edge: fewer than two tried rates on one side of the best, so it is no optimum. " +
      `Lead kept: the share of OLoRA's lead over LoRA at ${rate}; LoRA keeps 0 %, OLoRA 100 %.`,
  };
}

/** Test loss of each setting with its interval, in the given order; a dotted line at OLoRA's. */
export function variantPanel(settings: readonly Setting[], title: string): Panel {
  const dots = settings.map((setting) => ({
    name: methodName(setting.method),
    role: setting.method,
    value: meanInterval(settingRuns(setting).map(testLoss)),
  }));
  const olora = dots.find(({ role }) => role === "olora");
  return dotPanel(dots, {
    title,
    yLabel: "final test loss (nats/token)",
    ...(olora && { marks: [{ y: olora.value.mean, role: "olora" }] }),
  });
}

/** Undefined where OLoRA does not lead, or no seed has all three. */
function leadKept(settings: readonly Setting[], setting: Setting): number | undefined {
  const [olora, lora] = ["olora", "lora"].map((name) =>
    settings.find(({ method }) => method === name)?.search
  );
  if (!olora || !lora) return undefined;
  const places = [olora, setting.search].map((rows) => new Set(rows.map(replicate)));
  const shared = lora.filter((row) => places.every((place) => place.has(replicate(row))));
  const [lead, own] = [olora, setting.search].map((rows) =>
    contrastPairs(pairRuns(shared, rows))?.difference.mean
  );
  return lead !== undefined && lead > 0 && own !== undefined ? own / lead : undefined;
}

function differences(compared: readonly [string, Contrast][]): string {
  const [, { second, margin }] = compared[0];
  const each = compared.map(([method, { difference }]) =>
    `${methodName(method)} ${differenceText(difference, "nats")}`
  );
  const fewest = compared.map(([, contrast]) => contrast)
    .reduce((a, b) => b.difference.n < a.difference.n ? b : a);
  return `Test loss against OLoRA's ${formatNumber(second)}: ${each.join("; ")}. Up to ${
    formatNumber(margin, 2)
  } nats ` +
    `(${100 * MATCH_MARGIN} %, fixed in advance) more counts as the same.${indicationNote(fewest)}`;
}

/** The difference from OLoRA of the variant that ends highest. */
function highest(measured: readonly { readonly contrast: Contrast | undefined }[]): Interval {
  return measured.map(({ contrast }) => contrast!.difference).reduce((a, b) => b.mean > a.mean ? b : a);
}

function shortDifference({ difference: { mean, low, high } }: Contrast): string {
  const sign = mean > 0 ? "+" : "";
  return Number.isFinite(low)
    ? `${sign}${formatFixed(mean, 4)} ± ${formatFixed((high - low) / 2, 4)}`
    : `${sign}${formatFixed(mean, 4)}`;
}

function all(outcomes: readonly Verdict["outcome"][]): Verdict["outcome"] {
  if (outcomes.includes("refuted")) return "refuted";
  return outcomes.every((outcome) => outcome === "held") ? "held" : "inconclusive";
}
