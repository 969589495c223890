import { checkFigure, type Figure, legendEntries, type Panel } from "./figure.ts";
import { styleOf, SURFACES } from "./palette.ts";
import { dashAttribute, panelSvg, PLOT_INSETS, roomBelow, svgMarker } from "./svg_panel.ts";
import { coordinate, escapeXml, FONT, svgText, textWidth, wrapText } from "./svg_text.ts";

const { background, ink, muted } = SURFACES.light;
const MARGIN = 20;
const GAP = 28;

/**
 * The figure as a static SVG picture: presentation attributes only (no style element, script, use, clip path or
 * foreign object, which GitHub and nbconvert drop), on its own white ground, so it reads on a dark page too.
 *
 * Title and legend stand above the panels and the caption below, so neither covers a curve. A method is told by
 * its colour and by its marker.
 *
 * @throws {RangeError} As `checkFigure`.
 */
export function svgFigure(figure: Figure): string {
  checkFigure(figure);
  const columns = Math.min(2, figure.panels.length);
  const width = figure.width ?? (columns === 1 ? 640 : 960);
  const plotHeight = figure.height ?? 260;
  const inner = width - 2 * MARGIN;
  const parts: string[] = [];
  let y = MARGIN;
  for (const line of wrapText(figure.title, inner, (line) => textWidth(line, 16))) {
    parts.push(svgText(line, MARGIN, y + 14, { size: 16, fill: ink, bold: true }));
    y += 22;
  }
  const legend = drawLegend(figure.panels, y + 4, inner);
  parts.push(legend.svg);
  y += legend.height + 8;
  const above = figure.panels.some((panel) => panel.title) ? 26 : 8;
  const cell = (inner - (columns - 1) * GAP) / columns;
  const row = above + plotHeight + Math.max(0, ...figure.panels.map(roomBelow)) + 12;
  figure.panels.forEach((panel, i) => {
    parts.push(panelSvg(panel, {
      left: MARGIN + (i % columns) * (cell + GAP) + PLOT_INSETS.left,
      top: y + Math.floor(i / columns) * row + above,
      width: cell - PLOT_INSETS.left - 10,
      height: plotHeight,
    }));
  });
  y += Math.ceil(figure.panels.length / columns) * row;
  for (const line of wrapText(figure.caption, inner, (line) => textWidth(line, 12))) {
    parts.push(svgText(line, MARGIN, y + 8, { size: 12, fill: muted }));
    y += 17;
  }
  const height = Math.round(y + MARGIN - 4);
  const title = escapeXml(figure.title);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" font-family="${FONT}">` +
    `<title>${title}</title><desc>${escapeXml(describeFigure(figure))}</desc>` +
    `<rect width="${width}" height="${height}" rx="8" fill="${background}"/>${parts.join("")}</svg>`;
}

/**
 * One panel alone, without title, legend, caption and ground, for a page that has its own.
 *
 * @param name What a screen reader says.
 */
export function svgPicture(panel: Panel, name: string, width: number, height: number): string {
  checkFigure({ title: name, caption: "", panels: [panel] });
  const box = {
    left: PLOT_INSETS.left,
    top: 8,
    width: width - PLOT_INSETS.left - 24,
    height: height - roomBelow(panel) - 8,
  };
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" ` +
    `aria-label="${escapeXml(name)}" font-family="${FONT}">${panelSvg({ ...panel, title: "" }, box)}</svg>`;
}

/** The figure in words, for a reader who does not see it: each curve's first, last and lowest value. */
export function describeFigure(figure: Figure): string {
  const lines = figure.panels.flatMap((panel) => {
    const say = (p: { at: number; y: number }) =>
      `${rounded(p.y)} at ${panel.xNames?.[p.at - 1] ?? rounded(p.at)}`;
    return panel.series.map(({ name, x, y }) => {
      const drawn = x.map((at, i) => ({ at, y: y[i] })).filter((p) => Number.isFinite(p.y));
      if (!drawn.length) return `${name}: no values.`;
      const lowest = drawn.reduce((a, b) => b.y < a.y ? b : a);
      const where = panel.title ? `${panel.title}, ${name}` : name;
      return `${where}: from ${say(drawn[0])} to ${say(drawn[drawn.length - 1])}, lowest ${say(lowest)}.`;
    });
  });
  return [figure.caption, ...lines].join(" ");
}

function rounded(x: number): string {
  return String(Number(x.toPrecision(3)));
}

function drawLegend(panels: readonly Panel[], top: number, width: number): { svg: string; height: number } {
  const entries = legendEntries(panels);
  const parts: string[] = [];
  let [x, y] = [MARGIN, top];
  for (const series of entries) {
    const needed = 34 + textWidth(series.name, 13) + 18;
    if (x > MARGIN && x + needed > MARGIN + width) [x, y] = [MARGIN, y + 22];
    const { light, marker } = styleOf(series.role);
    const line = `M${coordinate(x)} ${coordinate(y + 9)}h26`;
    parts.push(
      `<path d="${line}" stroke="${light}" stroke-width="2.5"${dashAttribute(series)} fill="none"/>`,
      svgMarker(marker, x + 13, y + 9, light),
      svgText(series.name, x + 34, y + 13.5, { size: 13, fill: ink }),
    );
    x += needed;
  }
  return { svg: parts.join(""), height: entries.length ? y - top + 24 : 0 };
}
