import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import { VERSION } from "../core/version.ts";
import {
  convergenceFigure,
  convergenceTable,
  curvePanel,
  rateFigure,
  type RateStop,
  rateStops,
} from "../display/convergence.ts";
import type { Figure } from "../display/figure.ts";
import { report } from "../display/report.ts";
import { groupRuns, rateName, type RunRow, runsAtBestRate, runsAtRate } from "../display/rows.ts";
import { INTERVAL_NOTE } from "../display/statistics.ts";
import { svgFigure } from "../display/svg.ts";
import { type Table, textTable } from "../display/table.ts";
import { convergenceVerdicts, replicationNote, textVerdicts, type Verdict } from "../display/verdicts.ts";
import { writeFileAtomic } from "../io/atomic.ts";

/** Learning rate of the author's script in PEFT (`olora_finetuning.py`). */
export const AUTHOR_RATE = 3e-4;

/** What the main job says and shows, all of it from rows. */
export interface Results {
  /** What was compared, for the head of the report. */
  readonly lead: string;
  /** Tables: the runs made here, then the committed ones at each method's best rate and at the author's. */
  readonly tables: readonly Table[];
  /** What held, what is refuted, and what is inconclusive. */
  readonly verdicts: readonly Verdict[];
  /** On which rows the verdicts rest, and how far they can be relied on. */
  readonly note: string;
  /** Curves, live over committed. */
  readonly curves: Figure;
  /** Final loss against the rate, with the stops of its slider; of the committed rows, so undefined without them. */
  readonly rates?: { readonly figure: Figure; readonly stops: readonly RateStop[] };
}

const LEAD =
  "The paper's convergence experiment in small: three methods on new facts about a small world, each at";

/**
 * Results from the committed rows of the sweep and the rows of this run, which may be of fewer steps. Committed rows of
 * another model say nothing of this one, and are left out.
 *
 * @param isWhole Whether the runs made here are as long, and measured on as much, as the committed ones: then verdicts
 * rest on them, at rates that the committed ones chose with other seeds; else on the committed rows.
 */
export function results(stored: readonly RunRow[], live: readonly RunRow[], isWhole: boolean): Results {
  const { steps, model } = live[0].config;
  const committed = stored.filter(({ config }) => config.model === model);
  if (!committed.length) {
    const other = stored[0].config.model;
    const groups = groupRuns(live);
    return {
      lead: `${LEAD} the learning rate that is best for it on ${other}.`,
      tables: [convergenceTable(groups, `Run here: each method at its rate on ${other}, ${steps} steps`)],
      verdicts: [],
      note: `No verdicts and no stored curves: the committed rows are of ${other}, and so are the rates; ` +
        "olora compare looks for the rates of another model.",
      curves: {
        title: "Validation loss during fine-tuning",
        caption: `Mean and ${INTERVAL_NOTE} over ${groups[0].rows.length} runs a method.`,
        panels: [curvePanel(groups, `Each method at its rate on ${other}`)],
      },
    };
  }
  const rows = isWhole ? live : committed;
  const basis = isWhole
    ? "the runs made here, at rates that the committed ones chose"
    : "the committed runs of full length, not on the shorter ones made here";
  return {
    lead: `${LEAD} its own best learning rate and all at the author's.`,
    tables: [
      convergenceTable(groupRuns(live), `Run here: each method at its own best rate, ${steps} steps`),
      convergenceTable(runsAtBestRate(committed), "Committed rows: each method at its own best rate"),
      convergenceTable(
        runsAtRate(committed, AUTHOR_RATE),
        `Committed rows: all at the author's rate, ${rateName(AUTHOR_RATE)}`,
      ),
    ],
    verdicts: convergenceVerdicts(rows, AUTHOR_RATE, committed),
    note: `The verdicts rest on ${basis}. ${replicationNote(rows, committed)} ` +
      "FINDINGS.md of the kit has more bases and fresh seeds.",
    curves: convergenceFigure(committed, AUTHOR_RATE, live),
    rates: { figure: rateFigure(committed), stops: rateStops(committed) },
  };
}

/** The results for a terminal. */
export function resultsText({ tables, verdicts, note }: Results, columns = 100): string {
  const said = verdicts.length ? [textVerdicts(verdicts, columns)] : [];
  return [...tables.map((table) => textTable(table)), ...said, note].join("\n\n");
}

/**
 * Writes `curves.svg`, `rates.svg` where there are rates, and `report.html`, which shows everything without a network.
 *
 * @param facts What the report says of the run, name to value.
 */
export async function writeResults(
  folder: string,
  { lead, tables, verdicts, note, curves, rates }: Results,
  run: { device: string; isSoftware: boolean; facts: Record<string, string> },
): Promise<void> {
  await writeFileAtomic(`${folder}/curves.svg`, svgFigure(curves));
  if (rates) await writeFileAtomic(`${folder}/rates.svg`, svgFigure(rates.figure));
  else await Deno.remove(`${folder}/rates.svg`).catch(() => {});
  const html = report({
    title: "OLoRA, LoRA and full fine-tuning",
    lead,
    device: run.device,
    isSoftware: run.isSoftware,
    facts: { Version: VERSION, ...run.facts },
    verdicts,
    verdictNote: note,
    figures: [curves],
    ...(rates && { rates }),
    tables,
    rerun: "deno task reproduce",
    plotly,
  });
  await writeFileAtomic(`${folder}/report.html`, html);
}
