import { firstRows } from "../io/data_file.ts";
import { runIdentity } from "../train/run_config.ts";
import { mapItems } from "./measure.ts";
import type { SweepConfig, SweepRun } from "./sweep.ts";

/**
 * A sweep with all of its runs cut short, to try the whole way and to time it: `count` updates on as many batches' rows,
 * evaluations and measures on as many rows or items. Its rows go to a file of their own, in `work`.
 */
export function limitSweep(config: SweepConfig, count: number): SweepConfig {
  const { validation, test, general, tasks, kept, ...rest } = config.measures;
  const cut = (file: string) => firstRows(file, count);
  const work = `${config.work}/limit-${count}`;
  return {
    ...config,
    measures: {
      ...rest,
      validation: cut(validation),
      ...(test !== undefined && { test: cut(test) }),
      ...(general !== undefined && { general: cut(general) }),
      ...(tasks !== undefined && { tasks: mapItems(tasks, cut) }),
      ...(kept !== undefined && { kept: mapItems(kept, cut) }),
    },
    rows: `${work}/rows.jsonl`,
    work,
  };
}

/** A run of such a sweep. */
export function limitRun(run: SweepRun, count: number): SweepRun {
  const { data, steps = count, accumulate = 1, evaluation } = run;
  return {
    ...run,
    data: firstRows(data, count * accumulate),
    steps: Math.min(steps, count),
    ...(evaluation && {
      evaluation: {
        ...evaluation,
        data: firstRows(evaluation.data, count),
        every: Math.min(evaluation.every, count),
      },
    }),
  };
}

/** The runs on `model` in place of their own, those that then differ in nothing once; sequences are cut to its context. */
export function runsOn(model: string, context: number, runs: readonly SweepRun[]): SweepRun[] {
  const moved = runs.map((run): SweepRun => ({
    ...run,
    model,
    ...(run.seqLen !== undefined && { seqLen: Math.min(run.seqLen, context) }),
  }));
  return [...new Map(moved.map((run) => [runIdentity(run), run])).values()];
}
