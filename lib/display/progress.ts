import { formatFixed } from "./table.ts";
import { escapeXml } from "./svg_text.ts";

/** Where a job stands. */
export interface Progress {
  /** Units done. */
  readonly done: number;
  /** Units in all. */
  readonly total: number;
  /** Clock at the start, ms. */
  readonly startedAt: number;
  /** Clock now, ms. */
  readonly now: number;
  /** Units that were already done at the start, when a run was resumed; default 0. */
  readonly resumedAt?: number;
  /** What is going on. */
  readonly label?: string;
  /** What one unit is; default `step`. A `byte` is shown in kB, MB or GB, a thousand of one to the next. */
  readonly unit?: string;
  /** More to say, e.g. `loss 2.131`. */
  readonly extra?: string;
}

/**
 * One line for a terminal: label, bar, count, share, rate since the start, time left, extra. Rate and time left
 * appear once something has been done.
 *
 * @param columns Width of the terminal; without room the bar is left out, then the end cut off. Default 80.
 *
 * @example Usage
 * ```ts
 * import { progressLine } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   progressLine({ done: 30, total: 120, startedAt: 0, now: 10_000, label: "olora" }, 60),
 *   "olora  ━━━━───────────  30/120  25 %  3.0 steps/s  0:30 left",
 * );
 * ```
 */
export function progressLine(progress: Progress, columns = 80): string {
  const { label, extra, ...rest } = describeProgress(progress);
  const texts = [rest.count, rest.share, rest.rate, rest.left, extra].filter(Boolean);
  const used = [label, ...texts].filter(Boolean).join("  ").length;
  const room = Math.min(30, columns - used - 2);
  if (room >= 8) {
    const full = Math.round(fraction(progress) * room);
    return [label, "━".repeat(full) + "─".repeat(room - full), ...texts].filter(Boolean).join("  ");
  }
  const line = [label, ...texts].filter(Boolean).join("  ");
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

/** The parts of a progress line, each as text; empty where not known yet. */
function describeProgress(
  { done, total, startedAt, now, resumedAt = 0, label = "", unit = "step", extra = "" }: Progress,
) {
  const seconds = (now - startedAt) / 1000;
  const perSecond = seconds > 0 ? (done - resumedAt) / seconds : 0;
  const known = perSecond > 0;
  return {
    label,
    count: unit === "byte" ? bytesOf(done, total) : `${Math.floor(done)}/${total}`,
    share: `${Math.floor(100 * fraction({ done, total }))} %`,
    rate: known ? formatRate(perSecond, unit) : "",
    left: !known
      ? ""
      : done < total
      ? `${formatDuration((total - done) / perSecond)} left`
      : `in ${formatDuration(seconds)}`,
    extra,
  };
}

function fraction({ done, total }: { done: number; total: number }): number {
  return total > 0 ? Math.min(1, Math.max(0, done / total)) : 1;
}

/** Bytes done of a total, in the unit that fits the total. */
function bytesOf(done: number, total: number): string {
  const { size, name, digits } = byteUnit(total);
  return `${formatFixed(done / size, digits)}/${formatFixed(total / size, digits)} ${name}`;
}

function byteUnit(bytes: number) {
  const power = Math.min(3, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return { size: 1000 ** power, name: ["B", "kB", "MB", "GB"][power], digits: power === 0 ? 0 : 1 };
}

function formatRate(perSecond: number, unit: string): string {
  if (unit === "byte") {
    const { size, name, digits } = byteUnit(perSecond);
    return `${formatFixed(perSecond / size, digits)} ${name}/s`;
  }
  if (perSecond < 1) return `${formatFixed(1 / perSecond, 1)} s/${unit}`;
  return `${formatFixed(perSecond, perSecond < 100 ? 1 : 0)} ${unit}s/s`;
}

/** Seconds as `0:07`, `12:34` or `1:02:03`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const pad = (x: number) => String(x).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** Something that shows progress as it goes on. */
export interface ProgressReporter {
  /** Shows where the job stands; may be called at every step. */
  update(progress: Omit<Progress, "startedAt" | "now">): void;
  /** Shows the last state and leaves the line. */
  finish(): void;
}

/** Where and how progress is written. */
export interface TerminalOptions {
  /** Writes text, e.g. to standard error. */
  write(text: string): void;
  /** The text goes to a terminal, where a line can be rewritten. */
  readonly isTerminal: boolean;
  /** Width of the terminal; default 80. */
  readonly columns?: number;
  /** Clock in ms; default `performance.now`. */
  now?(): number;
}

/** Between rewrites of a terminal's line, and between lines of a log, in ms. */
const TERMINAL_EVERY = 100;
const LOG_EVERY = 30_000;

/**
 * Progress on a terminal, rewritten in place at most ten times a second; elsewhere (a file, CI) a line of its own
 * at each tenth of the way, or after 30 s without one.
 */
export function terminalProgress(options: TerminalOptions): ProgressReporter {
  const { write, isTerminal, columns = 80, now = () => performance.now() } = options;
  const startedAt = now();
  let shownAt = -Infinity;
  let shownTenth = -1;
  let pending: Progress | undefined;
  const show = (progress: Progress) => {
    const line = progressLine(progress, isTerminal ? columns - 1 : 120);
    write(isTerminal ? `\r${line}\x1b[K` : `${line}\n`);
    [shownAt, shownTenth, pending] = [progress.now, Math.floor(10 * fraction(progress)), undefined];
  };
  return {
    update(progress) {
      pending = { ...progress, startedAt, now: now() };
      const elapsed = pending.now - shownAt;
      const tenth = Math.floor(10 * fraction(progress));
      if (isTerminal ? elapsed >= TERMINAL_EVERY : tenth > shownTenth || elapsed >= LOG_EVERY) show(pending);
    },
    finish() {
      if (pending) show(pending);
      if (isTerminal && shownAt > -Infinity) write("\n");
    },
  };
}

/** What shows a bundle under an id, and replaces it: `Deno.jupyter.display` fits. */
export type DisplayFunction = (
  content: { [key: symbol]: () => Record<string, unknown> },
  options: { display_id: string; update: boolean },
) => unknown;

/**
 * Progress in a notebook cell: HTML without scripts under one display id, replaced in place at most four times a
 * second, with a plain-text form beside it.
 *
 * @param display `Deno.jupyter.display`.
 * @param displayId Unique in the notebook, so that two runs do not share a bar.
 * @param now Clock in ms; default `performance.now`.
 */
export function notebookProgress(
  display: DisplayFunction,
  displayId: string,
  now: () => number = () => performance.now(),
): ProgressReporter {
  const startedAt = now();
  let shownAt: number | undefined;
  let pending: Progress | undefined;
  const show = (progress: Progress) => {
    const bundle = { "text/html": progressHtml(progress), "text/plain": progressLine(progress) };
    display({ [Symbol.for("Jupyter.display")]: () => bundle }, {
      display_id: displayId,
      update: shownAt !== undefined,
    });
    [shownAt, pending] = [progress.now, undefined];
  };
  return {
    update(progress) {
      pending = { ...progress, startedAt, now: now() };
      if (shownAt === undefined || pending.now - shownAt >= 250) show(pending);
    },
    finish() {
      if (pending) show(pending);
    },
  };
}

/** The progress as HTML with inline styles, for a notebook; colours follow the page's own text colour. */
export function progressHtml(progress: Progress): string {
  const { label, count, share, rate, left, extra } = describeProgress(progress);
  const percent = (100 * fraction(progress)).toFixed(1);
  const texts = [count, share, rate, left, extra].filter(Boolean).map(escapeXml).join(" · ");
  return `<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${percent}" ` +
    `style="max-width:40em;font-variant-numeric:tabular-nums">` +
    `<div>${label ? `<b>${escapeXml(label)}</b> ` : ""}${texts}</div>` +
    `<div style="height:6px;border-radius:3px;background:rgba(128,128,128,0.25);margin-top:4px">` +
    `<div style="width:${percent}%;height:6px;border-radius:3px;background:#0072b2"></div></div></div>`;
}
