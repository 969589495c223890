import { type Axis, panelAxes } from "./axis.ts";
import { checkFigure, type Figure, legendEntries, type Panel, type Series } from "./figure.ts";
import { styleOf, SURFACES } from "./palette.ts";
import { PLOT_INSETS, roomBelow } from "./svg_panel.ts";
import { FONT, textWidth, wrapText } from "./svg_text.ts";

/** What Plotly.js draws: traces and a layout, plain JSON. */
export interface PlotlyFigure {
  /** Traces. */
  readonly data: Record<string, unknown>[];
  /** Axes, title, legend and colours. */
  readonly layout: Record<string, unknown>;
}

const { background, ink, muted, grid } = SURFACES.light;

/**
 * The figure for Plotly.js (MIME type `application/vnd.plotly.v1+json`), panels side by side, numbers rounded to
 * five digits, gaps as null.
 *
 * @throws {RangeError} As `checkFigure`.
 */
export function plotlyFigure(figure: Figure): PlotlyFigure {
  checkFigure(figure);
  const count = figure.panels.length;
  // Plotly does not wrap text: these lines fit the width of a notebook.
  const names = Math.max(0, ...figure.panels.map(roomBelow)) - PLOT_INSETS.below;
  const caption = wrapText(figure.caption, count > 1 ? 860 : 580, (line) => textWidth(line, 12));
  const layout: Record<string, unknown> = {
    title: {
      text: escapeHtml(figure.title),
      x: 0,
      xref: "paper",
      y: 0.98,
      yanchor: "top",
      font: { size: 16 },
    },
    font: { family: FONT, size: 13, color: ink },
    paper_bgcolor: background,
    plot_bgcolor: background,
    margin: { l: 64, r: 24, t: 96, b: 66 + names + 16 * caption.length },
    height: (figure.height ?? 260) + 162 + names + 16 * caption.length,
    hovermode: "x unified",
    hoverlabel: { bgcolor: background, bordercolor: grid, font: { color: ink } },
    legend: { orientation: "h", x: 0, y: count > 1 ? 1.12 : 1.04, yanchor: "bottom" },
    annotations: [note(caption.map(escapeHtml).join("<br>"), {
      xref: "paper",
      yref: "paper",
      x: 0,
      y: 0,
      yshift: -54 - names,
      xanchor: "left",
      yanchor: "top",
      align: "left",
      font: { size: 12, color: muted },
    })],
    shapes: [],
  };
  const data: Record<string, unknown>[] = [];
  const unseen = new Set(legendEntries(figure.panels));
  figure.panels.forEach((panel, i) => {
    const suffix = i ? String(i + 1) : "";
    const [from, to] = [i / count + (i ? 0.05 : 0), (i + 1) / count - (i < count - 1 ? 0.02 : 0)];
    const part = plotlyPanel(panel, suffix);
    layout[`xaxis${suffix}`] = { ...part.xaxis, domain: [from, to], anchor: `y${suffix}` };
    layout[`yaxis${suffix}`] = { ...part.yaxis, anchor: `x${suffix}` };
    panel.series.forEach((series) => {
      for (const trace of seriesTraces(series, unseen.has(series))) {
        data.push({ ...trace, xaxis: `x${suffix}`, yaxis: `y${suffix}` });
      }
    });
    data.push(...part.rings);
    (layout.shapes as unknown[]).push(...part.shapes);
    (layout.annotations as unknown[]).push(...part.annotations);
    if (panel.title) {
      (layout.annotations as unknown[]).push(note(panel.title, {
        xref: `x${suffix} domain`,
        yref: `y${suffix} domain`,
        x: 0,
        y: 1,
        xanchor: "left",
        yanchor: "bottom",
        font: { size: 13, color: ink },
      }));
    }
  });
  return { data, layout };
}

/** One panel alone, without title and legend: the page that embeds it writes those. */
export function plotlyPanelFigure(panel: Panel): PlotlyFigure {
  checkFigure({ title: "", caption: "", panels: [panel] });
  const part = plotlyPanel(panel, "");
  return {
    data: [...panel.series.flatMap((series) => seriesTraces(series, false)), ...part.rings],
    layout: {
      font: { family: FONT, size: 12, color: ink },
      paper_bgcolor: background,
      plot_bgcolor: background,
      margin: { l: 58, r: 24, t: 10, b: 2 + roomBelow(panel) },
      hovermode: "x unified",
      hoverlabel: { bgcolor: background, bordercolor: grid, font: { color: ink } },
      showlegend: false,
      xaxis: part.xaxis,
      yaxis: part.yaxis,
      shapes: part.shapes,
      annotations: part.annotations,
    },
  };
}

function plotlyPanel(panel: Panel, suffix: string): {
  xaxis: Record<string, unknown>;
  yaxis: Record<string, unknown>;
  shapes: unknown[];
  annotations: unknown[];
  rings: Record<string, unknown>[];
} {
  const { xScale = "linear", yScale = "linear", marks = [] } = panel;
  const axes = panelAxes(panel, { x: 5, y: 5 });
  const range = (axis: { low: number; high: number }, scale: string) =>
    [axis.low, axis.high].map((v) => round(scale === "log" ? Math.log10(v) : v));
  const title = { standoff: 8, font: { size: 12 } };
  const common = {
    color: muted,
    gridcolor: grid,
    zeroline: false,
    automargin: true,
    exponentformat: "power",
    separatethousands: true,
    tickfont: { size: 12 },
  };
  const lines = marks.filter(({ x, y }) => x === undefined || y === undefined);
  const rings = marks.filter(({ x, y }) => x !== undefined && y !== undefined);
  const position = (v: number | undefined, scale: string) => scale === "log" ? Math.log10(v!) : v;
  return {
    xaxis: {
      ...common,
      title: { text: panel.xLabel, ...title },
      type: xScale,
      range: range(axes.x, xScale),
      showgrid: false,
      ticks: "outside",
      ticklen: 4,
      linecolor: muted,
      ...(panel.xNames ? { ...ticksOf(axes.x), tickangle: -45 } : powers(axes.x, xScale)),
    },
    yaxis: {
      ...common,
      title: { text: panel.yLabel, ...title },
      type: yScale,
      range: range(axes.y, yScale),
      nticks: 6,
      ...powers(axes.y, yScale),
    },
    shapes: lines.map(({ x, y, role }) => ({
      type: "line",
      xref: x === undefined ? `x${suffix} domain` : `x${suffix}`,
      yref: y === undefined ? `y${suffix} domain` : `y${suffix}`,
      ...(x === undefined ? { x0: 0, x1: 1, y0: y, y1: y } : { x0: x, x1: x, y0: 0, y1: 1 }),
      line: { color: role ? styleOf(role).light : muted, width: 1.2, dash: "dot" },
    })),
    annotations: lines.filter(({ label }) => label).map(({ x, y, label, role }) => {
      const late = x !== undefined && axes.x.place(x) > 0.6;
      return note(label!, {
        xref: x === undefined ? `x${suffix} domain` : `x${suffix}`,
        yref: y === undefined ? `y${suffix} domain` : `y${suffix}`,
        x: x === undefined ? 1 : position(x, xScale),
        y: y === undefined ? 1 : position(y, yScale),
        xanchor: x === undefined || late ? "right" : "left",
        yanchor: x === undefined ? "bottom" : "top",
        xshift: x === undefined ? 0 : late ? -3 : 3,
        font: { size: 12, color: role ? styleOf(role).light : muted },
      });
    }),
    rings: rings.map(({ x, y, role }) => ({
      type: "scatter",
      mode: "markers",
      x: [x],
      y: [round(y!)],
      meta: { role },
      marker: { symbol: "circle-open", size: 17, color: styleOf(role).light, line: { width: 2 } },
      hoverinfo: "skip",
      showlegend: false,
      xaxis: `x${suffix}`,
      yaxis: `y${suffix}`,
    })),
  };
}

/** Ticks of a log axis, which Plotly would set in a larger font. */
function powers(axis: Axis, scale: string): Record<string, unknown> {
  return scale === "log" ? ticksOf(axis) : {};
}

function ticksOf({ ticks }: Axis): Record<string, unknown> {
  return {
    tickmode: "array",
    tickvals: ticks.map(({ at }) => at),
    ticktext: ticks.map(({ label }) => label),
  };
}

function seriesTraces(series: Series, inLegend: boolean): Record<string, unknown>[] {
  const { name, role, low, high, dashed, points } = series;
  const style = styleOf(role);
  const [x, y] = [series.x.map(round), series.y.map(round)];
  const common = { type: "scatter", legendgroup: `${role} ${name}`, meta: { role } };
  const curve: Record<string, unknown> = {
    ...common,
    name: dashed ? `${name} (dashed)` : name,
    x,
    y,
    mode: "lines+markers",
    showlegend: inLegend,
    line: { color: style.light, width: 2.2, dash: dashed ? "dash" : "solid" },
    marker: {
      color: style.light,
      symbol: style.marker === "cross" ? "x" : style.marker,
      size: 8,
      line: { color: background, width: 1 },
      ...(!points && { maxdisplayed: 6 }),
    },
    hovertemplate: "%{y:.4g}",
  };
  if (!low || !high) return [curve];
  if (points) {
    const [array, arrayminus] = [
      high.map((h, i) => round(h - series.y[i])),
      low.map((l, i) => round(series.y[i] - l)),
    ];
    return [{
      ...curve,
      error_y: { type: "data", symmetric: false, array, arrayminus, thickness: 1.4, width: 0 },
    }];
  }
  const edge = {
    ...common,
    x,
    mode: "lines",
    line: { width: 0, color: style.light },
    hoverinfo: "skip",
    showlegend: false,
  };
  return [
    { ...edge, y: low.map(round) },
    { ...edge, y: high.map(round), fill: "tonexty", fillcolor: transparent(style.light) },
    curve,
  ];
}

/** `colour` (#rrggbb) at the opacity of a band. */
export function transparent(colour: string): string {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${r}, ${g}, ${b}, 0.16)`;
}

function note(text: string, place: Record<string, unknown>): Record<string, unknown> {
  return { text, showarrow: false, ...place };
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

function round(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(5)) : null;
}
