import { contrastPairs, pairRuns, replicate, testLoss } from "./contrast.ts";
import { type Dot, dotPanel } from "./dots.ts";
import type { Figure } from "./figure.ts";
import { methodName, type RunGroup, type RunRow } from "./rows.ts";
import { notMeasured, pairSettings, type Setting, settingRuns, settingVerdict } from "./settings.ts";
import { INTERVAL_NOTE, mean, meanInterval } from "./statistics.ts";
import { formatFixed, formatNumber } from "./table.ts";
import { differenceText, type Verdict } from "./verdicts.ts";

const FULL = "full fine-tuning";

/**
 * Verdicts on OLoRA against full fine-tuning (C3), each at its own best rate, by the test loss paired by base, permutation
 * and seed: whether it does as well (at most 2 % higher) over all bases and on each alone, whether the two are the same
 * (within 2 % either way, two one-sided tests at 5 %), whether LoRA does as well, and how many parameters that took.
 *
 * @param settings `bestSettings` of OLoRA and LoRA at one rank and of full fine-tuning.
 */
export function fullVerdicts(settings: readonly Setting[]): Verdict[] {
  const rank = settings.find(({ method }) => method === "olora")?.rank;
  const verdict = (
    claim: string,
    relation: "as low" | "the same",
    method = "olora",
    list = settings,
  ) => settingVerdict(claim, list, [{ method, rank }, { method: "full" }], relation, FULL);
  const bases = basesOf(settings);
  return [
    verdict(`OLoRA does as well as ${FULL}`, "as low"),
    ...(bases.length > 1 ? bases : []).map((model) =>
      verdict(
        `OLoRA does as well as ${FULL} on the base ${model}`,
        "as low",
        "olora",
        settings.map((setting) => onBase(setting, model)),
      )
    ),
    ...(bases.length > 1 ? [basesVerdict(settings)] : []),
    verdict(`OLoRA and ${FULL} end the same`, "the same"),
    verdict(`LoRA does as well as ${FULL}`, "as low", "lora"),
    shareVerdict(settings),
  ];
}

/** Test losses on each base, and there the paired difference of OLoRA and LoRA from full fine-tuning. */
export function fullFigure(settings: readonly Setting[]): Figure {
  const full = settings.find(({ method }) => method === "full");
  const onBases = basesOf(settings).flatMap((model) => settings.map((setting) => onBase(setting, model)));
  const runs = onBases.filter((setting) => settingRuns(setting).length);
  const dot = (setting: Setting, value: Dot["value"]): Dot => ({
    name: `${methodName(setting.method)}, ${settingRuns(setting)[0].config.model}`,
    role: setting.method,
    value,
  });
  const differences = runs.filter(({ method }) => method !== "full").flatMap((setting) => {
    const contrast = full && contrastPairs(pairRuns(settingRuns(setting), settingRuns(full)));
    return contrast ? [dot(setting, contrast.difference)] : [];
  });
  return {
    title: "At the end, against full fine-tuning",
    caption:
      `Each method at its own best rate; mean and ${INTERVAL_NOTE}. Left all runs of a method on a base; right ` +
      "the differences of runs that share base, permutation and seed.",
    panels: [
      dotPanel(runs.map((setting) => dot(setting, meanInterval(settingRuns(setting).map(testLoss)))), {
        title: "Test loss",
        yLabel: "final test loss (nats/token)",
      }),
      dotPanel(differences, {
        title: `Minus ${FULL}`,
        yLabel: "difference in test loss (nats/token)",
        marks: [{ y: 0, role: "full" }],
      }),
    ],
  };
}

/** The groups, each cut to the bases, permutations and seeds that all of them have, so that their means compare. */
export function sharedRuns(groups: readonly RunGroup[]): RunGroup[] {
  const places = groups.map(({ rows }) => new Set(rows.map(replicate)));
  const isShared = (row: RunRow) => places.every((place) => place.has(replicate(row)));
  return groups.map((group) => ({ ...group, rows: group.rows.filter(isShared) }));
}

function basesOf(settings: readonly Setting[]): string[] {
  return [...new Set(settings.flatMap(settingRuns).map(({ config }) => config.model ?? ""))].sort();
}

function onBase(setting: Setting, model: string): Setting {
  const [search, fresh] = [setting.search, setting.fresh].map((rows) =>
    rows.filter(({ config }) => (config.model ?? "") === model)
  );
  return { ...setting, search, fresh };
}

/** Pairs on one base may be alike for the base's sake: with each base as one value, what is shown is of bases. */
function basesVerdict(settings: readonly Setting[]): Verdict {
  const [olora, full] = ["olora", "full"].map((name) => settings.find(({ method }) => method === name));
  const pairs = olora && full ? pairSettings(olora, full) : [];
  const byBase = [...Map.groupBy(pairs, ([{ config }]) => config.model).values()].flatMap((pairs) =>
    contrastPairs(pairs) ?? []
  );
  const claim = `OLoRA does as well as ${FULL}, each base as one value`;
  if (byBase.length < 2) return notMeasured(claim, "both on two bases");
  const difference = meanInterval(byBase.map(({ difference }) => difference.mean));
  const effect = differenceText(difference, "nats", { of: "bases" });
  const margin = mean(byBase.map(({ margin }) => margin));
  return {
    claim,
    outcome: difference.high < margin ? "held" : difference.low > margin ? "refuted" : "inconclusive",
    sentence: `A mean difference of ${effect}; up to ${
      formatNumber(margin, 2)
    } nats more counts as the same.`,
    effect,
  };
}

function shareVerdict(settings: readonly Setting[]): Verdict {
  const claim = `OLoRA trains far fewer parameters than ${FULL}`;
  const [few, all] = ["olora", "full"].map((name) =>
    settings.filter(({ method }) => method === name).flatMap(settingRuns)[0]?.trainable
  );
  if (!few || !all) return notMeasured(claim, "both");
  const share = `${formatFixed(100 * few / all, 1)} %`;
  return {
    claim,
    outcome: few < FAR_FEWER * all ? "held" : "refuted",
    sentence: `${formatNumber(few)} of ${formatNumber(all)} (${share}), counted exactly; less than ${
      100 * FAR_FEWER
    } % counts as far fewer.`,
    effect: `${share} of the parameters`,
  };
}

/** Share of full fine-tuning's parameters below which they are far fewer: an order of magnitude. */
const FAR_FEWER = 0.1;
