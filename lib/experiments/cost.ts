import type { MeasuredRun } from "./measure.ts";
import type { SweepRun } from "./sweep.ts";

/** What runs are expected to take on the devices that rows were measured on. */
export interface ExpectedCost {
  /** Device seconds of their training, evaluations left out. */
  readonly seconds: number;
  /** How many of the runs that covers: those like which one was measured. */
  readonly runs: number;
  /** Devices of the rows it was taken from. */
  readonly devices: readonly string[];
}

/** The training of `runs`, by the latest row of the same method, model and batch: its seconds a step times the steps. */
export function expectedCost(runs: readonly SweepRun[], rows: readonly MeasuredRun[]): ExpectedCost {
  const alike = new Map(rows.filter(({ diverged }) => !diverged).map((row) => [kind(row.config), row]));
  const known = runs.flatMap((run) => {
    const row = alike.get(kind(run));
    return row && run.steps !== undefined ? [{ row, seconds: row.secondsPerStep * run.steps }] : [];
  });
  return {
    seconds: known.reduce((sum, { seconds }) => sum + seconds, 0),
    runs: known.length,
    devices: [...new Set(known.map(({ row }) => row.device))],
  };
}

/** Runs to make and what they are expected to cost, in one line. */
export function describeCost(left: readonly SweepRun[], rows: readonly MeasuredRun[]): string {
  const { seconds, runs, devices } = expectedCost(left, rows);
  const hours = (seconds / 3600).toPrecision(2);
  const covered = runs === left.length ? "training" : `the training of ${runs} of them`;
  const cost = `${covered} takes about ${hours} device hours, by rows of ${devices.join(", ")}`;
  return `runs to make: ${left.length}${runs ? `; ${cost}` : left.length ? "; cost not known yet" : ""}`;
}

function kind({ method, model, quantize, batchSize, seqLen, accumulate }: SweepRun): string {
  return JSON.stringify([method, model, quantize, batchSize, seqLen, accumulate]);
}
