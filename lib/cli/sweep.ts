import { GpuError } from "../core/errors.ts";
import { STOPPED } from "../experiments/array.ts";
import { describeCost } from "../experiments/cost.ts";
import { limitRun, limitSweep, runsOn } from "../experiments/limit.ts";
import { type MeasuredRun, measureFiles } from "../experiments/measure.ts";
import { describeNeed, type MemoryNeed, memoryNeeds } from "../experiments/memory_need.ts";
import { parsePart, partFile, readRows, runsOfPart } from "../experiments/parts.ts";
import {
  describeRun,
  expand,
  sweep as makeRuns,
  type SweepConfig,
  type SweepRun,
} from "../experiments/sweep.ts";
import { readSweep } from "../experiments/sweep_file.ts";
import { isHubName } from "../io/hub_name.ts";
import { readModelConfig } from "../io/model_config.ts";
import type { Arguments } from "./args.ts";
import {
  type Command,
  findData,
  findModel,
  interruption,
  MODEL_HELP,
  openGpu,
  progressBar,
  StoppedError,
} from "./command.ts";
import { SLURM_OPTIONS, sweepOnSlurm } from "./slurm.ts";

/** `olora sweep`: makes all runs of a grid that have no row yet. */
export const sweep: Command = {
  summary: "a grid of runs, one row each; goes on where it was",
  usage: "CONFIG [--model M] [--limit N] [--part I/N | --slurm]",
  options: {
    model: { type: "text", value: "M", help: `in place of the models of CONFIG: ${MODEL_HELP}` },
    limit: {
      type: "number",
      value: "N",
      help:
        "N updates, rows and items of each run and measure: tries the whole way, and times it for what follows",
    },
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
    const whole = await readSweep(path);
    const { config, runs } = await chosen(whole, args);
    for (const [name, source] of Object.entries(config.sources ?? {})) output.note(`${name}: ${source}`);
    if (args.flag("slurm")) return await sweepOnSlurm(path, config, runs, args, output);
    const own = part ? runsOfPart(runs.length, part).map((i) => runs[i]) : runs;
    for (const file of dataOf(config, own)) if (isHubName(file)) await findData(file);
    using gpu = await openGpu(output);
    const needs: MemoryNeed[] = [];
    for await (const need of memoryNeeds(own, { gpu, measures: config.measures, find: findModel })) {
      output.note(describeNeed(need));
      needs.push(need);
    }
    const refused = needs.filter(({ refusal }) => refusal !== undefined);
    const without = new Set(refused.flatMap(({ runs }) => runs));
    if (refused.length && without.size === own.length) throw new GpuError(refused[0].refusal!);
    using signal = interruption(() => output.note("\nStopping after this update."));
    const bar = progressBar();
    const before = (await earlierRows(whole)).filter(({ device }) => device === gpu.info.name);
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
      without,
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
    const left = without.size ? `; ${without.size} more were left out, as said above` : "";
    output.say(`${total} runs, ${made} of them made now, ${failed} of these diverged; ${rows}${left}`);
    return {
      ...{ runs: total, made, diverged: failed, leftOut: without.size, rows: config.rows },
      memory: needs.map(({ runs: [{ model, method, rank }], plan, refusal }) => ({
        ...{ model, method, rank: rank ?? null, bytes: plan ?? null, refusal: refusal ?? null },
      })),
      device: gpu.info.name,
    };
  },
};

/** The sweep with the model and the length that the options ask for. */
async function chosen(
  whole: SweepConfig,
  args: Arguments,
): Promise<{ config: SweepConfig; runs: readonly SweepRun[] }> {
  const [model, limit] = [args.text("model"), args.number("limit")];
  let runs = expand(whole);
  if (model !== undefined) {
    const { context } = await readModelConfig(await findModel(model));
    runs = runsOn(model, context, runs);
  }
  if (limit === undefined) return { config: whole, runs };
  if (!(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new RangeError(`Cannot use --limit ${limit}: expected a whole number >= 1`);
  }
  return { config: limitSweep(whole, limit), runs: runs.map((run) => limitRun(run, limit)) };
}

/** All data that the runs read. */
function dataOf({ measures }: SweepConfig, runs: readonly SweepRun[]): Set<string> {
  const read = runs.flatMap(({ data, evaluation }) => evaluation ? [data, evaluation.data] : [data]);
  return new Set([...read, ...measureFiles(measures).map(({ file }) => file)]);
}

/** Rows that say how long a step takes: those of the sweep, and before them those of its trials with `--limit`. */
async function earlierRows({ rows, work }: SweepConfig): Promise<MeasuredRun[]> {
  const folders: string[] = [];
  try {
    for await (const { name } of Deno.readDir(work)) if (name.startsWith("limit-")) folders.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const trials = await Promise.all(folders.map((name) => readRows(`${work}/${name}/rows.jsonl`)));
  return [...trials.flat(), ...await readRows(rows)];
}

/** @throws {RangeError} If options exclude each other. */
function checkOptions(args: Arguments): void {
  if (!args.flag("slurm")) {
    const lone = Object.keys(SLURM_OPTIONS).find((name) => args.has(name));
    if (lone !== undefined) throw new RangeError(`Cannot use --${lone}: expected --slurm with it`);
  } else if (args.has("part")) {
    throw new RangeError("Cannot use --part with --slurm: expected one of them, as --slurm makes the parts");
  }
}
