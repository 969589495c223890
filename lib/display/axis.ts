import type { Panel, Scale } from "./figure.ts";

/** A labelled place on an axis. */
export interface Tick {
  /** Value. */
  readonly at: number;
  /** Text; empty for a minor tick. */
  readonly label: string;
}

/** One axis: its ends, its ticks, and where a value lies between the ends (0 to 1). */
export interface Axis {
  /** Lower end. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
  /** Labelled ticks within the ends, ascending. */
  readonly ticks: readonly Tick[];
  /** 0 at `low`, 1 at `high`; outside that range beyond the ends. */
  place(value: number): number;
}

/** An axis from `low` to `high` with about `count` ticks; ends that meet are moved apart. */
export function makeAxis(low: number, high: number, scale: Scale, count: number): Axis {
  if (!(low < high)) [low, high] = scale === "log" ? [low / 2, low * 2] : [low - 0.5, low + 0.5];
  const f = scale === "log" ? Math.log10 : (x: number) => x;
  const place = (value: number) => (f(value) - f(low)) / (f(high) - f(low));
  const ticks = scale === "log" ? logTicks(low, high, count) : linearTicks(low, high, count);
  return { low, high, ticks, place };
}

/** Both axes of a panel. The x axis spans the data; the y axis leaves a twentieth of room at both ends. */
export function panelAxes(panel: Panel, counts: { x: number; y: number }): { x: Axis; y: Axis } {
  const { series, marks = [], xScale = "linear", yScale = "linear" } = panel;
  const xs = [...series.flatMap((s) => s.x), ...marks.flatMap((m) => m.x ?? [])].filter(Number.isFinite);
  const ys = [
    ...series.flatMap((s) => [...s.y, ...s.low ?? [], ...s.high ?? []]),
    ...marks.flatMap((m) => m.y ?? []),
  ]
    .filter((y) => Number.isFinite(y) && (yScale === "linear" || y > 0));
  const [xLow, xHigh] = xScale === "log" ? widen(extent(xs), xScale, 0.03) : extent(xs);
  const [yLow, yHigh] = panel.yRange ?? widen(extent(ys), yScale, 0.05);
  const x = panel.xNames ? namedAxis(panel.xNames) : makeAxis(xLow, xHigh, xScale, counts.x);
  return { x, y: makeAxis(yLow, yHigh, yScale, counts.y) };
}

/** The places 1, 2, … with their names, and half a place of room at both ends. */
function namedAxis(names: readonly string[]): Axis {
  const axis = makeAxis(0.5, names.length + 0.5, "linear", 1);
  return { ...axis, ticks: names.map((label, i) => ({ at: i + 1, label })) };
}

function extent(values: number[]): [number, number] {
  if (!values.length) return [0.1, 1];
  return values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [values[0], values[0]]);
}

function widen([low, high]: [number, number], scale: Scale, share: number): [number, number] {
  if (scale === "log") {
    const factor = (high / low) ** share;
    return [low / factor, high * factor];
  }
  return [low - share * (high - low), high + share * (high - low)];
}

/** Multiples of 1, 2 or 5 times a power of ten (Heckbert 1990, "Nice numbers for graph labels"). */
function linearTicks(low: number, high: number, count: number): Tick[] {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((s) => s * power >= 0.8 * rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks: Tick[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    ticks.push({ at: i * step, label: tickLabel(i * step, Math.min(digits, 12)) });
  }
  return ticks;
}

function tickLabel(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  const grouped = digits ? text : text.replace(/\B(?=(\d{3})+$)/g, ",");
  return value < 0 ? `−${grouped}` : grouped;
}

/** Powers of ten; between them 2 and 5 where fewer than three powers fit. */
function logTicks(low: number, high: number, count: number): Tick[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / Math.max(1, count)));
  const factors = last - first < 2 ? [1, 2, 5] : [1];
  const isPlain = low >= 0.001 && high <= 10_000;
  const ticks: Tick[] = [];
  for (let power = first - 1; power <= last; power++) {
    for (const factor of factors) {
      const at = factor * 10 ** power;
      if (at < low * (1 - 1e-9) || at > high * (1 + 1e-9) || (power - first) % every) continue;
      ticks.push({ at, label: isPlain ? tickLabel(at, Math.max(0, -power)) : powerLabel(factor, power) });
    }
  }
  return ticks;
}

function powerLabel(factor: number, power: number): string {
  const digits = [...String(power)].map((c) => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)]).join("");
  return factor === 1 ? `10${digits}` : `${factor}·10${digits}`;
}
