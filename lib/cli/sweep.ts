import { STOPPED } from "../experiments/array.ts";
import { describeCost } from "../experiments/cost.ts";
import { parsePart, partFile, readRows } from "../experiments/parts.ts";
import { describeRun, expand, sweep as makeRuns, type SweepConfig } from "../experiments/sweep.ts";
import { isHubName } from "../io/hub_name.ts";
import { readJson } from "../io/json_file.ts";
import type { Arguments } from "./args.ts";
import { type Command, findModel, interruption, openGpu, progressBar, StoppedError } from "./command.ts";
import { SLURM_OPTIONS, sweepOnSlurm } from "./slurm.ts";

/** `olora sweep`: makes all runs of a grid that have no row yet. */
export const sweep: Command = {
  summary: "a grid of runs, one row each; goes on where it was",
  usage: "CONFIG [--part I/N | --slurm]",
  options: {
    part: {
      type: "text",
      value: "I/N",
      help: "only part I of N of the runs, beside other processes; a sweep of all gathers the rows",
    },
    slurm: {
      type: "flag",
      help: "as a Slurm job array, a part a task; the same command goes on, and gathers the rows",
    },
    ...SLURM_OPTIONS,
  },
  positionals: 1,

  async run(args, output) {
    const path = args.positionals[0];
    checkOptions(args);
    const part = args.text("part") === undefined ? undefined : parsePart(args.required("part"));
    const config = await readSweep(path);
    const runs = expand(config);
    if (args.flag("slurm")) return await sweepOnSlurm(path, config, runs, args, output);
    for (const model of new Set(runs.map((run) => run.model))) if (isHubName(model)) await findModel(model);
    using gpu = await openGpu(output);
    using signal = interruption(() => output.note("\nStopping after this update."));
    const bar = progressBar();
    const before = (await readRows(config.rows)).filter(({ device }) => device === gpu.info.name);
    output.note(
      part
        ? `part ${args.text("part")} of ${runs.length} runs, rows in ${partFile(config.work, part)}`
        : `${runs.length} runs, rows in ${config.rows}`,
    );
    let [done, total, made, failed] = [0, 0, 0, 0];
    let resumedAt: number | undefined;
    const sweeping = makeRuns(config, runs, {
      gpu,
      stopped: signal.stopped,
      ...(part && { part }),
      onStart: (own, left) => {
        [done, total, resumedAt] = [own - left.length, own, own - left.length];
        output.note(describeCost(left, before));
      },
    });
    for await (const { done: now, run, event, row, isElsewhere } of sweeping) {
      done = now;
      made += Number(row !== undefined);
      failed += Number(row?.diverged ?? false);
      const share = event ? event.step / event.steps : 0;
      const label = `${describeRun(run)}${isElsewhere ? " (made by another process)" : ""}`;
      bar.update({ done: now + share, total, ...(resumedAt && { resumedAt }), label, unit: "run" });
    }
    bar.finish();
    if (signal.stopped() && done < total) {
      throw new StoppedError(
        `Cannot finish: ${STOPPED} ${done} of ${total} runs done; the same command goes on`,
      );
    }
    const rows = part ? `the same command without --part gathers the rows` : `rows in ${config.rows}`;
    output.say(`${total} runs, ${made} of them made now, ${failed} of these diverged; ${rows}`);
    return { runs: total, made, diverged: failed, rows: config.rows, device: gpu.info.name };
  },
};

/** @throws {RangeError} If options exclude each other. */
function checkOptions(args: Arguments): void {
  if (!args.flag("slurm")) {
    const lone = Object.keys(SLURM_OPTIONS).find((name) => args.has(name));
    if (lone !== undefined) throw new RangeError(`Cannot use --${lone}: expected --slurm with it`);
  } else if (args.has("part")) {
    throw new RangeError("Cannot use --part with --slurm: expected one of them, as --slurm makes the parts");
  }
}

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
      Object.entries(measures).map(([name, file]) => [name, typeof file === "string" ? from(file) : file]),
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
