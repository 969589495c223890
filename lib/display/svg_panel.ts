import { type Axis, panelAxes } from "./axis.ts";
import type { Mark, Panel, Series } from "./figure.ts";
import { type Marker, styleOf, SURFACES } from "./palette.ts";
import { coordinate, svgText, textWidth } from "./svg_text.ts";

const { background, ink, muted, grid } = SURFACES.light;

/** Room for ticks and axis names left of and below the plotting area, in CSS pixels. */
export const PLOT_INSETS = { left: 62, below: 46 } as const;

/** Room below the plotting area of `panel`, in CSS pixels: names, which stand aslant, need more than numbers. */
export function roomBelow({ xNames = [] }: Panel): number {
  return PLOT_INSETS.below + Math.max(0, ...xNames.map((name) => textWidth(name, 12))) * Math.SQRT1_2;
}

/** The plotting area of a panel within the picture, in CSS pixels. */
export interface Box {
  /** Left edge. */
  readonly left: number;
  /** Top edge. */
  readonly top: number;
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
}

/** A panel's box with the places of its axes' values. */
interface Frame extends Box {
  readonly bottom: number;
  readonly right: number;
  readonly axes: { readonly x: Axis; readonly y: Axis };
  px(x: number): number;
  py(y: number): number;
}

/** Axes, bands, lines, curves and rings of one panel, as SVG elements. */
export function panelSvg(panel: Panel, box: Box): string {
  const { left, top, width, height } = box;
  const axes = panelAxes(panel, {
    x: Math.max(2, Math.floor(width / 80)),
    y: Math.max(2, Math.floor(height / 48)),
  });
  const frame: Frame = {
    ...box,
    axes,
    right: left + width,
    bottom: top + height,
    px: (x) => left + axes.x.place(x) * width,
    py: (y) => top + (1 - axes.y.place(y)) * height,
  };
  const marks = panel.marks ?? [];
  const isRing = ({ x, y }: Mark) => x !== undefined && y !== undefined;
  return [
    "<g>",
    drawAxes(panel, frame),
    ...panel.series.filter((series) => !series.points).map((series) => drawBand(series, frame)),
    ...marks.filter((mark) => !isRing(mark)).map((mark) => drawLine(mark, frame)),
    ...panel.series.map((series, i) => drawCurve(series, i, frame)),
    ...marks.filter((mark) => !isRing(mark)).map((mark) => drawLabel(mark, frame)),
    ...marks.filter(isRing).map((mark) => drawRing(mark, frame)),
    "</g>",
  ].join("");
}

function drawAxes(panel: Panel, { left, right, top, bottom, axes, px, py }: Frame): string {
  const small = { size: 12, fill: muted };
  const parts: string[] = [];
  for (const { at, label } of axes.y.ticks) {
    parts.push(
      stroke(`M${coordinate(left)} ${coordinate(py(at))}H${coordinate(right)}`, grid, 1),
      svgText(label, left - 8, py(at) + 4, { ...small, anchor: "end" }),
    );
  }
  for (const { at, label } of axes.x.ticks) {
    parts.push(
      stroke(`M${coordinate(px(at))} ${coordinate(bottom)}v5`, muted, 1),
      panel.xNames
        ? svgText(label, px(at) + 4, bottom + 15, { ...small, anchor: "end", turn: -45 })
        : svgText(label, px(at), bottom + 19, { ...small, anchor: "middle" }),
    );
  }
  parts.push(
    stroke(`M${coordinate(left)} ${coordinate(bottom)}H${coordinate(right)}`, muted, 1),
    svgText(panel.xLabel, (left + right) / 2, bottom + roomBelow(panel) - 7, { ...small, anchor: "middle" }),
    svgText(panel.yLabel, left - PLOT_INSETS.left + 14, (top + bottom) / 2, {
      ...small,
      anchor: "middle",
      turn: -90,
    }),
  );
  if (panel.title) parts.push(svgText(panel.title, left, top - 11, { size: 13, fill: ink, bold: true }));
  return parts.join("");
}

function drawBand({ x, low, high, role }: Series, frame: Frame): string {
  if (!low || !high) return "";
  const point = (i: number, y: number) => `${coordinate(frame.px(x[i]))} ${coordinate(inside(frame, y))}`;
  return runs(x.map((_, i) => Number.isFinite(low[i]) && Number.isFinite(high[i]))).map((run) => {
    const outline = [...run.map((i) => point(i, high[i])), ...run.map((i) => point(i, low[i])).reverse()];
    return `<path d="M${outline.join("L")}Z" fill="${styleOf(role).light}" fill-opacity="0.16"/>`;
  }).join("");
}

function drawCurve(series: Series, order: number, frame: Frame): string {
  const { x, y, low, high, points } = series;
  const { light, marker } = styleOf(series.role);
  const path = clippedLines(series, frame)
    .map((line) => `M${line.map((point) => point.map(coordinate).join(" ")).join("L")}`).join("");
  const parts = path ? [stroke(path, light, 2.2, `${dashAttribute(series)} stroke-linejoin="round"`)] : [];
  // Few markers on a dense curve, each method's at its own places so that they do not hide one another.
  const every = points ? 1 : Math.max(1, Math.floor(x.length / 6));
  const first = points ? 0 : Math.floor(every * (0.3 + 0.21 * (order % 4)));
  for (let i = first; i < x.length; i += every) {
    if (!(y[i] >= frame.axes.y.low && y[i] <= frame.axes.y.high)) continue;
    if (points && low && high && Number.isFinite(low[i]) && Number.isFinite(high[i])) {
      const [from, to] = [low[i], high[i]].map((end) => coordinate(inside(frame, end)));
      parts.push(stroke(`M${coordinate(frame.px(x[i]))} ${from}V${to}`, light, 1.4));
    }
    parts.push(svgMarker(marker, frame.px(x[i]), frame.py(y[i]), light));
  }
  return parts.join("");
}

function drawLine({ x, y, role }: Mark, { left, right, top, bottom, px, py }: Frame): string {
  const path = x === undefined
    ? `M${coordinate(left)} ${coordinate(py(y!))}H${coordinate(right)}`
    : `M${coordinate(px(x))} ${coordinate(top)}V${coordinate(bottom)}`;
  return stroke(path, role ? styleOf(role).light : muted, 1.2, ` stroke-dasharray="2 3"`);
}

/** What a line says, on top of the curves that may cross it. */
function drawLabel({ x, y, label, role }: Mark, { right, top, px, py }: Frame): string {
  if (!label) return "";
  const style = { size: 12, fill: role ? styleOf(role).light : muted, halo: background };
  if (x === undefined) return svgText(label, right - 4, py(y!) - 5, { ...style, anchor: "end" });
  const fits = px(x) + 5 + textWidth(label, 12) <= right;
  return svgText(label, px(x) + (fits ? 5 : -5), top + 13, { ...style, anchor: fits ? "start" : "end" });
}

function drawRing({ x, y, role }: Mark, { px, py }: Frame): string {
  const [cx, cy] = [coordinate(px(x!)), coordinate(py(y!))];
  return `<circle cx="${cx}" cy="${cy}" r="8" fill="none" stroke="${
    styleOf(role).light
  }" stroke-width="1.8"/>`;
}

/** The curve as polylines in pixels, cut at the upper and lower edge of the frame and broken at gaps. */
function clippedLines({ x, y }: Series, { top, bottom, px, py }: Frame): [number, number][][] {
  const lines: [number, number][][] = [];
  let open: [number, number][] | undefined;
  for (let i = 1; i < x.length; i++) {
    const [x0, x1, y0, y1] = [px(x[i - 1]), px(x[i]), py(y[i - 1]), py(y[i])];
    const at = (t: number): [number, number] => [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
    // Where the segment crosses an edge; at a gap everything is NaN, and nothing is inside.
    const cuts = [top, bottom].map((edge) => (edge - y0) / (y1 - y0)).filter((t) => t > 0 && t < 1);
    const stops = [0, ...cuts.sort((a, b) => a - b), 1];
    for (let k = 1; k < stops.length; k++) {
      const middle = at((stops[k - 1] + stops[k]) / 2)[1];
      if (!(middle >= top && middle <= bottom)) {
        open = undefined;
        continue;
      }
      if (!open) lines.push(open = [at(stops[k - 1])]);
      open.push(at(stops[k]));
    }
  }
  return lines;
}

function inside({ axes, py }: Frame, y: number): number {
  return py(Math.min(Math.max(y, axes.y.low), axes.y.high));
}

/** Indices of each unbroken run of `true`. */
function runs(flags: boolean[]): number[][] {
  const out: number[][] = [];
  flags.forEach((flag, i) => {
    if (flag && flags[i - 1]) out[out.length - 1].push(i);
    else if (flag) out.push([i]);
  });
  return out;
}

function stroke(path: string, colour: string, width: number, extra = ""): string {
  return `<path d="${path}" stroke="${colour}" stroke-width="${width}"${extra} fill="none"/>`;
}

/** The attribute that dashes the line of a dashed series. */
export function dashAttribute({ dashed }: Series): string {
  return dashed ? ` stroke-dasharray="6 4"` : "";
}

/** A marker centred at (cx, cy). */
export function svgMarker(shape: Marker, cx: number, cy: number, colour: string): string {
  const [x, y] = [coordinate(cx), coordinate(cy)];
  if (shape === "circle") {
    return `<circle cx="${x}" cy="${y}" r="4.2" fill="${colour}" stroke="${background}" stroke-width="1"/>`;
  }
  if (shape === "cross") return stroke(`M${x} ${y}m-4 -4l8 8m0 -8l-8 8`, colour, 2.2);
  const outline = {
    "square": "m-3.8 -3.8h7.6v7.6h-7.6z",
    "triangle-up": "m0 -5l4.8 8.4h-9.6z",
    "triangle-down": "m0 5l4.8 -8.4h-9.6z",
    "diamond": "m0 -5.4l5.4 5.4l-5.4 5.4l-5.4 -5.4z",
  }[shape];
  return `<path d="M${x} ${y}${outline}" fill="${colour}" stroke="${background}" stroke-width="1"/>`;
}
