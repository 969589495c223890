/** How an axis maps values to places. */
export type Scale = "linear" | "log";

/** One curve, with its uncertainty. `x`, `y`, `low` and `high` have the same length; NaN is a gap. */
export interface Series {
  /** What the legend says. */
  readonly name: string;
  /** Key of colour and marker, one for each method: `olora`, `lora`, `full`, … (`styleOf`). */
  readonly role: string;
  /** Abscissae, ascending. */
  readonly x: readonly number[];
  /** Ordinates. */
  readonly y: readonly number[];
  /** Lower end of the interval at each point. */
  readonly low?: readonly number[];
  /** Upper end of the interval at each point. */
  readonly high?: readonly number[];
  /** Draws the curve dashed: a second condition of the same method. */
  readonly dashed?: boolean;
  /** Draws a marker at every point, and the interval as whiskers instead of a band. */
  readonly points?: boolean;
}

/** A place worth a note: a vertical line (`x` alone), a horizontal line (`y` alone) or a ring (both). */
export interface Mark {
  /** Place on the x axis. */
  readonly x?: number;
  /** Place on the y axis. */
  readonly y?: number;
  /** Text beside the line; rings carry none and are explained by the caption. */
  readonly label?: string;
  /** Colour key; neutral by default. */
  readonly role?: string;
}

/** One pair of axes with its curves. */
export interface Panel {
  /** Heading, where a figure has several panels. */
  readonly title?: string;
  /** Name and unit of the x axis. */
  readonly xLabel: string;
  /** Name and unit of the y axis. */
  readonly yLabel: string;
  /** Default `linear`. */
  readonly xScale?: Scale;
  /** Names of the places 1, 2, … of the x axis, which then spans those; in place of numbers. */
  readonly xNames?: readonly string[];
  /** Default `linear`. */
  readonly yScale?: Scale;
  /** Ends of the y axis; what lies outside is cut off. Default: the range of all values and intervals. */
  readonly yRange?: readonly [number, number];
  /** The curves, drawn in this order. */
  readonly series: readonly Series[];
  /** Notes on top of the curves. */
  readonly marks?: readonly Mark[];
}

/**
 * A figure as data. `svgFigure` and `plotlyFigure` draw the same description, so a reader without scripts sees
 * what a reader with them sees.
 */
export interface Figure {
  /** Heading, and the name that a screen reader says. */
  readonly title: string;
  /** What is drawn, from what, with which uncertainty. */
  readonly caption: string;
  /** Panels, left to right, two to a row. */
  readonly panels: readonly Panel[];
  /** Width of the static picture in CSS pixels; default 640 for one panel, 960 for more. */
  readonly width?: number;
  /** Height of one panel's plotting area in CSS pixels; default 260. */
  readonly height?: number;
}

/**
 * Checks what a drawing relies on.
 *
 * @throws {RangeError} If arrays of one series differ in length, or a value on a log axis is not positive.
 */
export function checkFigure(figure: Figure): void {
  for (const panel of figure.panels) {
    for (const { name, x, y, low, high } of panel.series) {
      for (const [key, values] of Object.entries({ y, low, high })) {
        if (values && values.length !== x.length) {
          throw new RangeError(
            `Cannot draw series ${name}: got ${values.length} values of ${key}, expected ${x.length} as in x`,
          );
        }
      }
      if (panel.xScale === "log") checkPositive(name, "x", x);
      if (panel.yScale === "log") checkPositive(name, "y", y);
    }
  }
}

function checkPositive(name: string, key: string, values: readonly number[]): void {
  const bad = values.find((value) => value <= 0);
  if (bad !== undefined) {
    throw new RangeError(`Cannot draw series ${name} on a log axis: got ${key} = ${bad}, expected > 0`);
  }
}

/**
 * The figure with at most `limit` points in each series, and a caption that says so. The points kept are those
 * of largest-triangle-three-buckets, which keeps spikes, is a function of the data alone, and keeps both ends.
 *
 * Source: Steinarsson 2013, "Downsampling time series for visual representation", MSc thesis, University of
 * Iceland, §4.2. A gap counts as zero height.
 *
 * @param limit Points kept in a series, at least 3.
 */
export function thinFigure(figure: Figure, limit: number): Figure {
  const longest = Math.max(0, ...figure.panels.flatMap((panel) => panel.series.map((s) => s.x.length)));
  if (longest <= limit) return figure;
  const panels = figure.panels.map((panel) => ({
    ...panel,
    series: panel.series.map((series) => thinSeries(series, limit)),
  }));
  const note = `Drawn with at most ${limit} of ${longest} points a curve.`;
  return { ...figure, panels, caption: `${figure.caption} ${note}` };
}

function thinSeries(series: Series, limit: number): Series {
  const { x, y, low, high } = series;
  if (x.length <= limit) return series;
  const kept = largestTriangles(x, y, limit);
  const pick = (values: readonly number[]) => kept.map((i) => values[i]);
  return {
    ...series,
    x: pick(x),
    y: pick(y),
    ...(low && { low: pick(low) }),
    ...(high && { high: pick(high) }),
  };
}

function largestTriangles(x: readonly number[], y: readonly number[], limit: number): number[] {
  const height = (i: number) => Number.isFinite(y[i]) ? y[i] : 0;
  const width = (x.length - 2) / (limit - 2);
  const start = (bucket: number) => 1 + Math.floor(bucket * width);
  const kept = [0];
  for (let bucket = 0; bucket < limit - 2; bucket++) {
    const a = kept[bucket];
    // The next bucket's mean; after the last bucket this is the last point.
    const [from, to] = [start(bucket + 1), Math.min(start(bucket + 2), x.length)];
    let [cx, cy] = [0, 0];
    for (let i = from; i < to; i++) {
      cx += x[i] / (to - from);
      cy += height(i) / (to - from);
    }
    let best = start(bucket);
    let largest = -1;
    for (let i = start(bucket); i < from; i++) {
      const area = Math.abs(
        (x[a] - cx) * (height(i) - height(a)) - (x[a] - x[i]) * (cy - height(a)),
      );
      if (area > largest) [largest, best] = [area, i];
    }
    kept.push(best);
  }
  return [...kept, x.length - 1];
}

/**
 * One series for each name and role, solid where there is a solid one; the caption explains dashes. A panel whose axis
 * names its places needs none.
 */
export function legendEntries(panels: readonly Panel[]): Series[] {
  const entries = new Map<string, Series>();
  for (const series of panels.flatMap((panel) => panel.xNames ? [] : panel.series)) {
    const key = `${series.role}\n${series.name}`;
    if (!entries.has(key) || (entries.get(key)!.dashed && !series.dashed)) entries.set(key, series);
  }
  return [...entries.values()];
}
