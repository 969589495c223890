import { type Figure, thinFigure } from "../display/figure.ts";
import { type Displayable, JUPYTER_DISPLAY } from "../display/notebook.ts";
import { svgFigure } from "../display/svg.ts";
import { RunHandle, type StartOptions } from "../train/run_handle.ts";
import { LiveOutput, settle } from "./show.ts";

/**
 * Starts a training in a Worker and returns at once; its loss is drawn under the cell and stays up to date while
 * later cells run.
 *
 * `run.wait()`, in a cell of its own, waits for the end; Stop ends that wait and not the run, and `run.stop()` ends
 * the run. A cell that starts a run of the same name again stops the earlier one.
 *
 * @param config What to train, plain JSON.
 */
export function start<Config>(config: Config, options: StartOptions = {}): NotebookRun {
  return new NotebookRun(config, options);
}

/** A training that a notebook started. */
export class NotebookRun extends RunHandle {
  readonly #begin = performance.now();

  /** Starts the run, as `start` does. */
  constructor(config: unknown, options: StartOptions = {}) {
    super(config, options);
    const view = () => progressView(progressFigure(this, performance.now() - this.#begin));
    const output = new LiveOutput(view());
    this.onProgress(() => output.update(view()));
  }

  /** Not in a notebook. */
  override get done(): never {
    throw new TypeError(
      "Cannot await run.done in a notebook: a Stop meanwhile would leave the kernel hanging; use run.wait()",
    );
  }

  /**
   * Waits in this cell until the run has ended; Stop ends the wait and not the run, provided that the cell awaits
   * and imports nothing before it.
   *
   * @param ms Time to wait at most; unlimited by default.
   * @throws {Error} If the run failed, with its message.
   */
  override wait(ms?: number): void {
    try {
      super.wait(ms);
    } finally {
      settle();
    }
  }
}

/** A static picture: what changes four times a second should not be an interactive one. */
function progressView(figure: Figure): Displayable {
  const bundle = { "image/svg+xml": svgFigure(figure), "text/plain": `${figure.title}. ${figure.caption}` };
  return { [JUPYTER_DISPLAY]: () => bundle };
}

/** Points of a curve that is drawn while it grows. */
const DRAWN_POINTS = 400;

/** What the drawing of a run needs of it. */
export type RunView = Pick<RunHandle, "name" | "config" | "state" | "events" | "failure">;

/**
 * Loss against steps, with a caption that says how far the run is and how long it still takes.
 *
 * @param ms Time since the start.
 */
export function progressFigure(run: RunView, ms: number): Figure {
  const { name, config, state, events } = run;
  const curve = (key: "loss" | "evaluation") => {
    const rows = events.filter((event) => event[key] !== undefined);
    return { x: rows.map(({ step }) => step), y: rows.map((event) => event[key]!) };
  };
  const role = String((config as { method?: unknown } | null)?.method ?? "olora");
  const series = [
    { name: "training", role: "", ...curve("loss") },
    { name: "validation", role, points: true, ...curve("evaluation") },
  ];
  const figure = {
    title: `${name}: ${state}`,
    caption: progressCaption(run, ms),
    panels: [{
      xLabel: "step",
      yLabel: "loss (nats per token)",
      series: series.filter(({ x }) => x.length),
    }],
    height: 200,
  };
  return thinFigure(figure, DRAWN_POINTS);
}

function progressCaption({ state, events, failure }: RunView, ms: number): string {
  const last = events.at(-1);
  const why = failure ? ` ${failure.name}: ${failure.message}` : "";
  if (!last) return state === "running" ? "Loading." : `No step was done.${why}`;
  const { step, steps } = last;
  const done = `Step ${step} of ${steps}`;
  if (state !== "running" || step === 0) return `${done}, ${seconds(ms)}.${why}`;
  return `${done}, ${seconds(ms / step)} a step, ${seconds(ms / step * (steps - step))} left.`;
}

function seconds(ms: number): string {
  const s = ms / 1000;
  return s < 10 ? `${s.toFixed(2)} s` : s < 100 ? `${s.toFixed(0)} s` : `${(s / 60).toFixed(0)} min`;
}
