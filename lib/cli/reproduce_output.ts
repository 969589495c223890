import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import { VERSION } from "../core/version.ts";
import { convergenceFigure, convergenceTable, rateFigure, rateStops } from "../display/convergence.ts";
import type { Figure } from "../display/figure.ts";
import { report } from "../display/report.ts";
import { rateName, type RunRow, runsAtBestRate, runsAtRate } from "../display/rows.ts";
import { svgFigure } from "../display/svg.ts";
import { type Table, textTable } from "../display/table.ts";
import { convergenceVerdicts, replicationNote, textVerdicts, type Verdict } from "../display/verdicts.ts";
import { writeFileAtomic } from "../io/atomic.ts";

/** Learning rate of the author's script in PEFT (`olora_finetuning.py`). */
export const AUTHOR_RATE = 3e-4;

/** What the main job says and shows, all of it from rows. */
export interface Results {
  /** Tables: the runs made here, then the committed ones at each method's best rate and at the author's. */
  readonly tables: readonly Table[];
  /** What held, what is refuted, and what is inconclusive. */
  readonly verdicts: readonly Verdict[];
  /** How far the verdicts can be relied on. */
  readonly note: string;
  /** Curves, live over committed. */
  readonly curves: Figure;
  /** Final loss against the rate. */
  readonly rates: Figure;
}

/**
 * Results from the committed rows of the sweep and the rows of this run, which may be of fewer steps.
 *
 * Verdicts rest on the committed rows, whose curves are of full length and whose rates were searched.
 */
export function results(committed: readonly RunRow[], live: readonly RunRow[]): Results {
  const steps = live[0]?.config.steps;
  return {
    tables: [
      convergenceTable(runsAtBestRate(live), `Run here: each method at its own best rate, ${steps} steps`),
      convergenceTable(runsAtBestRate(committed), "Committed rows: each method at its own best rate"),
      convergenceTable(
        runsAtRate(committed, AUTHOR_RATE),
        `Committed rows: all at the author's rate, ${rateName(AUTHOR_RATE)}`,
      ),
    ],
    verdicts: convergenceVerdicts(committed, AUTHOR_RATE),
    note: replicationNote(committed),
    curves: convergenceFigure(committed, AUTHOR_RATE, live),
    rates: rateFigure(committed),
  };
}

/** The results for a terminal. */
export function resultsText({ tables, verdicts, note }: Results, columns = 100): string {
  return [...tables.map((table) => textTable(table)), textVerdicts(verdicts, columns), note].join("\n\n");
}

/**
 * Writes `curves.svg`, `rates.svg` and `report.html`, which shows everything without a network.
 *
 * @param facts What the report says of the run, name to value.
 */
export async function writeResults(
  folder: string,
  { tables, verdicts, note, curves, rates }: Results,
  committed: readonly RunRow[],
  run: { device: string; isSoftware: boolean; facts: Record<string, string> },
): Promise<void> {
  await writeFileAtomic(`${folder}/curves.svg`, svgFigure(curves));
  await writeFileAtomic(`${folder}/rates.svg`, svgFigure(rates));
  const html = report({
    title: "OLoRA, LoRA and full fine-tuning",
    lead:
      "The paper's convergence experiment in small: three methods, each at its own best learning rate and all at " +
      "the author's, on new facts about a small world.",
    device: run.device,
    isSoftware: run.isSoftware,
    facts: { Version: VERSION, ...run.facts },
    verdicts,
    verdictNote: note,
    findings: import.meta.resolve("../../FINDINGS.md"),
    figures: [curves],
    rates: { figure: rates, stops: rateStops(committed) },
    tables,
    rerun: "deno task reproduce",
    plotly,
  });
  await writeFileAtomic(`${folder}/report.html`, html);
}
