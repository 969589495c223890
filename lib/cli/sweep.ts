import { expand, sweep as makeRuns, type SweepConfig, type SweepRun } from "../experiments/sweep.ts";
import { readJson } from "../io/json_file.ts";
import { type Command, interruption, openGpu, progressBar, StoppedError } from "./command.ts";

/** `olora sweep`: makes all runs of a grid that have no row yet. */
export const sweep: Command = {
  summary: "a grid of runs, one row each; goes on where it was",
  usage: "CONFIG",
  options: {},
  positionals: 1,

  async run(args, output) {
    const path = args.positionals[0];
    const config = await readSweep(path);
    const runs = expand(config);
    using gpu = await openGpu(output);
    using signal = interruption(() => output.note("\nStopping after this update."));
    const bar = progressBar();
    output.note(`${runs.length} runs, rows in ${config.rows}`);
    let [done, made, failed] = [0, 0, 0];
    let resumedAt: number | undefined;
    for await (
      const { done: now, run, event, row } of makeRuns(config, runs, { gpu, stopped: signal.stopped })
    ) {
      resumedAt ??= now - Number(row !== undefined);
      done = now;
      made += Number(row !== undefined);
      failed += Number(row?.diverged ?? false);
      const part = event ? event.step / event.steps : 0;
      bar.update({ done: now + part, total: runs.length, resumedAt, label: describe(run), unit: "runs" });
    }
    bar.finish();
    if (signal.stopped()) {
      throw new StoppedError(
        `Cannot finish: stopped with ${done} of ${runs.length} runs done; the same command goes on`,
      );
    }
    output.say(
      `${runs.length} runs, ${made} of them made now, ${failed} of these diverged; rows in ${config.rows}`,
    );
    return { runs: runs.length, made, diverged: failed, rows: config.rows, device: gpu.info.name };
  },
};

/**
 * Reads a sweep's configuration; paths in it become paths from here.
 *
 * @throws {RangeError} If a part is missing.
 */
export async function readSweep(path: string): Promise<SweepConfig> {
  const json = await readJson(path) as unknown as Partial<SweepConfig>;
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  for (const name of ["base", "grid", "measures", "rows"] as const) {
    if (json[name] === undefined) throw new RangeError(`Cannot sweep ${path}: ${name} is missing`);
  }
  const { base, grid, measures, rows, work = "out/sweep" } = json as SweepConfig;
  const from = (file: string) => /^([/\\]|[A-Za-z]:)/.test(file) ? file : `${folder}${file}`;
  return {
    base: located(base, from),
    grid: grid.map((block) =>
      Object.fromEntries(
        Object.entries(block).map(([name, values]) => [
          name,
          values.map((value) => located({ [name]: value }, from)[name]),
        ]),
      )
    ),
    measures: Object.fromEntries(
      Object.entries(measures).map(([name, file]) => [name, from(file)]),
    ) as unknown as SweepConfig["measures"],
    rows: from(rows),
    work: from(work),
  };
}

/** `settings` with the paths in it, at whatever depth, taken from where `from` says; names of embedded models stay. */
function located(settings: Readonly<Record<string, unknown>>, from: (path: string) => string) {
  const place = (name: string, value: unknown): unknown => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return located(value as Record<string, unknown>, from);
    }
    const isPath = typeof value === "string" &&
      (["data", "init"].includes(name) || (name === "model" && !/^(tiny$|\w+:)/.test(value)));
    return isPath ? from(value) : value;
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, place(name, value)]));
}

function describe({ method, learningRate, seed, rank }: SweepRun): string {
  return `${method}${rank ? ` r ${rank}` : ""} ${learningRate} seed ${seed}`;
}
