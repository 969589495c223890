import { type Figure, legendEntries, type Panel } from "./figure.ts";
import { darkColours, styleOf, SURFACES } from "./palette.ts";
import { type PlotlyFigure, plotlyPanelFigure, transparent } from "./plotly.ts";
import client from "./report_client.js" with { type: "text" };
import css from "./report.css" with { type: "text" };
import type { RateStop } from "./convergence.ts";
import { rateName } from "./rows.ts";
import { svgPicture } from "./svg.ts";
import { dashAttribute, svgMarker } from "./svg_panel.ts";
import { escapeXml } from "./svg_text.ts";
import { htmlTable, type Table } from "./table.ts";
import type { Verdict } from "./verdicts.ts";

/** What a report holds. */
export interface ReportOptions {
  /** Heading of the page. */
  readonly title: string;
  /** One or two sentences below it: what was compared, on what. */
  readonly lead: string;
  /** Name of the adapter (device) that ran. */
  readonly device: string;
  /** The device is a software driver; the page then says that its timings are no GPU's. */
  readonly isSoftware: boolean;
  /** More facts, name to value: date, version, steps, … */
  readonly facts?: Readonly<Record<string, string>>;
  /** What the runs say about each claim. */
  readonly verdicts: readonly Verdict[];
  /** What the verdicts rest on, below them. */
  readonly verdictNote?: string;
  /** Figures, each below a heading of its own. */
  readonly figures: readonly Figure[];
  /** Final loss against the learning rate, with the stops of its slider; left out without runs of a sweep. */
  readonly rates?: { readonly figure: Figure; readonly stops: readonly RateStop[] };
  /** Tables. */
  readonly tables: readonly Table[];
  /** Commands that make this report again, and what they do. */
  readonly rerun: string;
  /** Source text of a Plotly.js bundle that has scatter traces, e.g. of `plotly.js-basic-dist-min`. */
  readonly plotly: string;
}

/**
 * The report: one HTML page that holds its scripts, data and styles and asks the network for nothing. It follows
 * the reader's light or dark scheme, fits a phone, and shows static pictures where scripts are off.
 *
 * @returns HTML text.
 */
export function report(options: ReportOptions): string {
  const { title, lead, figures, rates, verdicts, verdictNote = "", tables, rerun, plotly } = options;
  const plots: Record<string, PlotlyFigure & { cursor?: unknown }> = {};
  const sections = figures.map((figure, i) => {
    const ids = figure.panels.map((panel, k) => {
      plots[`plot-${i}-${k}`] = plotlyPanelFigure(panel);
      return `plot-${i}-${k}`;
    });
    return `<section><h2>${escapeXml(figure.title)}</h2>${figureHtml(figure, ids)}</section>`;
  });
  if (rates?.stops.length) {
    plots["plot-rates"] = { ...plotlyPanelFigure(rates.figure.panels[0]), cursor: CURSOR };
  }
  const stops = (rates?.stops ?? []).map(({ rate, panel, sentence }) => ({
    rate,
    name: rateName(rate),
    sentence,
    figure: plotlyPanelFigure(panel),
  }));
  const body = [
    `<header><h1>${escapeXml(title)}</h1><p class="lead">${escapeXml(lead)}</p>${
      factsHtml(options)
    }</header>`,
    verdicts.length || verdictNote
      ? `<section><h2>What held</h2>${verdictsHtml(verdicts)}<p class="note">${
        escapeXml(verdictNote)
      }</p></section>`
      : "",
    ...sections,
    rates?.stops.length ? ratesHtml(rates.figure, rates.stops) : "",
    ...tables.map((table) => `<section>${tableHtml(table)}</section>`),
    `<section><h2>Run it again</h2><pre>${escapeXml(rerun)}</pre></section>`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(title)}</title>
<link rel="icon" href="data:,">
<style>${css}${darkPictures()}</style>
<noscript><style>.plot{display:none}</style></noscript>
</head>
<body>
<main>
${body.filter(Boolean).join("\n")}
</main>
<script type="application/json" id="plots">${
    json({ figures: plots, darkColours: plotlyDarkColours() })
  }</script>
<script type="application/json" id="stops">${json(stops)}</script>
<script>${plotly.replaceAll("</script", "<\\/script")}</script>
<script>${client}</script>
</body>
</html>
`;
}

const CURSOR = {
  type: "line",
  xref: "x",
  yref: "y domain",
  y0: 0,
  y1: 1,
  line: { color: SURFACES.light.ink, width: 1.2 },
};

/** Light colours of a drawn figure to dark ones, those of bands included. */
function plotlyDarkColours(): Record<string, string> {
  const colours = darkColours();
  const bands = Object.entries(colours).map(([light, dark]) => [transparent(light), transparent(dark)]);
  return { ...colours, ...Object.fromEntries(bands) };
}

/** Rules that turn the legends and the static pictures, drawn in light colours, dark with the page. */
function darkPictures(): string {
  const rules = Object.entries(darkColours()).map(([light, dark]) =>
    `svg [fill="${light}"]{fill:${dark}}svg [stroke="${light}"]{stroke:${dark}}`
  );
  return `@media screen and (prefers-color-scheme: dark){${rules.join("")}}\n`;
}

/** JSON that may stand in a script element. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function factsHtml({ device, isSoftware, facts = {} }: ReportOptions): string {
  const adapter = isSoftware ? `${device} (a software adapter: its times say nothing about a GPU)` : device;
  const items = Object.entries({ Adapter: adapter, ...facts })
    .map(([name, value]) => `<li>${escapeXml(name)} <b>${escapeXml(value)}</b></li>`);
  return `<ul class="facts">${items.join("")}</ul>`;
}

function verdictsHtml(verdicts: readonly Verdict[]): string {
  const words = { held: "Held", refuted: "Refuted", inconclusive: "Inconclusive" };
  const items = verdicts.map(({ claim, outcome, sentence }) =>
    `<li class="${outcome}"><span class="outcome">${words[outcome]}</span>` +
    `<strong>${escapeXml(claim)}</strong><p>${escapeXml(sentence)}</p></li>`
  );
  return `<ul class="verdicts">${items.join("")}</ul>`;
}

function figureHtml(figure: Figure, ids: readonly string[]): string {
  const panels = figure.panels.map((panel, i) =>
    `<div class="panel">${panel.title ? `<h3>${escapeXml(panel.title)}</h3>` : ""}${
      plotHtml(ids[i], panel, figure)
    }</div>`
  );
  return `<figure>${legendHtml(figure.panels)}<div class="panels">${panels.join("")}</div>` +
    `<figcaption>${escapeXml(figure.caption)}</figcaption></figure>`;
}

/** An empty place that the script fills, or a static picture where scripts are off. */
function plotHtml(id: string, panel: Panel, { title }: Figure): string {
  const name = panel.title ? `${title}: ${panel.title}` : title;
  const picture = svgPicture(panel, name, 440, 300);
  return `<div class="plot" id="${id}" role="img" aria-label="${
    escapeXml(name)
  }"></div><noscript>${picture}</noscript>`;
}

function legendHtml(panels: readonly Panel[]): string {
  const items = legendEntries(panels).map((series) => {
    const { light, marker } = styleOf(series.role);
    const line = `<path d="M0 8h26" stroke="${light}" stroke-width="2.5"${
      dashAttribute(series)
    } fill="none"/>`;
    const key = `${line}${svgMarker(marker, 13, 8, light)}`;
    return `<li><svg width="26" height="16" aria-hidden="true">${key}</svg>${escapeXml(series.name)}</li>`;
  });
  return `<ul class="legend">${items.join("")}</ul>`;
}

function ratesHtml(figure: Figure, stops: readonly RateStop[]): string {
  const [panel] = figure.panels;
  const middle = Math.floor(stops.length / 2);
  return `<section><h2>Where the winner changes</h2>` +
    `<p>Move the learning rate, and the stored curves of all methods at that rate are drawn. Below each rate stands the marker of the method that ends lowest there.</p>` +
    `<div class="slider" id="slider" hidden><label for="rate">Learning rate</label>` +
    `<input type="range" id="rate" min="0" max="${stops.length - 1}" step="1" value="${middle}">` +
    `<output id="rate-name" for="rate"></output>${
      winnersHtml(stops)
    }<p id="rate-sentence" aria-live="polite"></p></div>` +
    `<figure>${legendHtml(figure.panels)}<div class="panels">` +
    `<div class="panel"><h3>Curves at this rate</h3>${
      plotHtml("plot-rate-curves", stops[middle].panel, figure)
    }</div>` +
    `<div class="panel"><h3>${escapeXml(figure.title)}</h3>${
      plotHtml("plot-rates", panel, figure)
    }</div></div>` +
    `<figcaption>${escapeXml(figure.caption)}</figcaption></figure></section>`;
}

/** A marker below each stop of the slider: the method that ends lowest there. */
function winnersHtml(stops: readonly RateStop[]): string {
  const markers = stops.map(({ winner }) => {
    const { light, marker } = styleOf(winner);
    return `<svg width="16" height="16">${winner ? svgMarker(marker, 8, 8, light) : ""}</svg>`;
  });
  return `<div class="winners" aria-hidden="true">${markers.join("")}</div>`;
}

function tableHtml(table: Table): string {
  const { title, note, ...grid } = table;
  return (title ? `<h2>${escapeXml(title)}</h2>` : "") + `<div class="scroll">${htmlTable(grid)}</div>` +
    (note ? `<p class="note">${escapeXml(note)}</p>` : "");
}
