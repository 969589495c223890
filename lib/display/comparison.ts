import { convergenceTable, curvePanel, rateFigure } from "./convergence.ts";
import type { Figure } from "./figure.ts";
import { methodKey, methodName, rateName, type RunGroup, type RunRow } from "./rows.ts";
import { INTERVAL_NOTE, mean, pairedInterval } from "./statistics.ts";
import { formatNumber, textTable } from "./table.ts";
import { differenceText, MATCH_MARGIN, textVerdicts, type Verdict } from "./verdicts.ts";

/** One method of a comparison, as `compare` returns it. */
export interface ComparedRuns {
  /** Its own learning rate. */
  readonly learningRate: number;
  /** Whether two tried rates lie on either side of it. */
  readonly counts: boolean;
  /** The runs that looked for it. */
  readonly search: readonly RunRow[];
  /** The runs at that rate with fresh seeds, the same seeds for all methods. */
  readonly runs: readonly RunRow[];
}

/**
 * What a comparison says, each other method against the first: whether the first ends lower on the test rows, by the
 * 95 % interval of the difference paired by seed, and whether the two match, which is the case if the 90 %
 * interval lies within 2 % of the other's loss (two one-sided tests at 5 %, Schuirmann 1987).
 *
 * A best rate without two tried rates on either side is no optimum, so such a verdict is inconclusive.
 */
export function comparisonVerdicts(compared: readonly ComparedRuns[]): Verdict[] {
  const [first, ...others] = compared;
  return others.flatMap((other) => {
    const [a, b] = [first, other].map(({ runs }) => runs.map(testLoss));
    const [name, against] = [first, other].map(nameOf);
    const edges = [first, other].filter(({ counts }) => !counts).map(nameOf);
    const because = edges.length
      ? ` Inconclusive because the rate has no two tried rates on either side: ${edges.join(", ")}.`
      : "";
    const undecided = edges.length > 0 || ![...a, ...b].every(Number.isFinite);
    const difference = pairedInterval(a, b);
    const narrow = pairedInterval(a, b, 0.9);
    const margin = MATCH_MARGIN * mean(b);
    const figures = `Test loss ${formatNumber(mean(a))} (${against} ${formatNumber(mean(b))})`;
    return [
      {
        claim: `${name} ends lower than ${against}, each at its own rate`,
        outcome: undecided ? "inconclusive" : outcome(difference.high < 0, difference.low > 0),
        sentence: `${figures}: a difference of ${differenceText(difference, "nats")}.${because}`,
        effect: differenceText(difference, "nats"),
      },
      {
        claim: `${name} matches ${against}, each at its own rate`,
        outcome: undecided ? "inconclusive" : outcome(
          Math.max(-narrow.low, narrow.high) < margin,
          narrow.low > margin || narrow.high < -margin,
        ),
        sentence: `A difference of ${
          differenceText(narrow, "nats", { confidence: "90 %" })
        }; a match is less than ${formatNumber(margin, 2)} nats either way (${
          100 * MATCH_MARGIN
        } %, fixed in advance).${because}`,
        effect: differenceText(narrow, "nats", { confidence: "90 %" }),
      },
    ];
  });
}

/** Curves of the runs with fresh seeds, and what the searches for the rates saw. */
export function comparisonFigure(compared: readonly ComparedRuns[]): Figure {
  const groups = compared.map(groupOf);
  const rates = groups.map(({ method, rate }) => `${methodName(method)} ${rateName(rate)}`).join(", ");
  const search = rateFigure(compared.flatMap(({ search }) => search));
  return {
    title: "Each method at its own learning rate",
    caption: `Rates: ${rates}. Left, mean and ${INTERVAL_NOTE} over ${
      groups[0].rows.length
    } runs a method with fresh seeds; right, the runs that looked for the rates, the lowest ringed.`,
    panels: [
      curvePanel(groups, "Validation loss, fresh seeds"),
      { ...search.panels[0], title: "Final loss against the rate" },
    ],
  };
}

/** The comparison for a terminal: table and verdicts. */
export function comparisonText(compared: readonly ComparedRuns[], columns = 100): string {
  const table = convergenceTable(compared.map(groupOf), "Each method at its own rate, fresh seeds");
  const note = `${compared.length - 1} ${compared.length === 2 ? "method is" : "methods are"} set against ${
    nameOf(compared[0])
  }, in two tests each; pairs share a seed.`;
  return [textTable(table), textVerdicts(comparisonVerdicts(compared), columns), note].join("\n\n");
}

function groupOf({ learningRate, runs }: ComparedRuns): RunGroup {
  return { method: methodKey(runs[0].config), rate: learningRate, rows: runs };
}

function nameOf({ runs }: ComparedRuns): string {
  return methodName(methodKey(runs[0].config));
}

function testLoss({ diverged, final }: RunRow): number {
  return diverged ? NaN : final.test ?? NaN;
}

function outcome(held: boolean, failed: boolean): Verdict["outcome"] {
  return held ? "held" : failed ? "refuted" : "inconclusive";
}
