import { sweepArray } from "../experiments/array.ts";
import { describeCost } from "../experiments/cost.ts";
import { identify } from "../experiments/identity.ts";
import { measureFiles } from "../experiments/measure.ts";
import { readPartRows, readRows } from "../experiments/parts.ts";
import { Slurm } from "../experiments/slurm.ts";
import type { SweepConfig, SweepRun } from "../experiments/sweep.ts";
import type { Arguments, Option } from "./args.ts";
import { checkInputs, interruption, type Output, progressBar, StoppedError } from "./command.ts";

/** Options of `olora sweep` that belong to `--slurm`. */
export const SLURM_OPTIONS: Readonly<Record<string, Option>> = {
  partition: { type: "text", value: "P", help: "with --slurm: partition (default the cluster's own)" },
  gres: { type: "text", value: "G", help: "with --slurm: what a task gets, e.g. gpu:1 (default nothing)" },
  time: {
    type: "text",
    value: "T",
    help: "with --slurm: time limit of a task, e.g. 2:00:00; it stops a minute before, another goes on",
  },
  pack: {
    type: "number",
    value: "N",
    help:
      "with --slurm: runs of a task, one after the other (default 1); all else through SBATCH_… variables",
  },
};

/** Makes the runs of a sweep on a Slurm cluster, and waits for them; ended by Ctrl-C, it leaves the array running. */
export async function sweepOnSlurm(
  path: string,
  config: SweepConfig,
  runs: readonly SweepRun[],
  args: Arguments,
  output: Output,
): Promise<Record<string, unknown>> {
  const pack = args.number("pack") ?? 1;
  if (!(Number.isInteger(pack) && pack >= 1)) {
    throw new RangeError(`Cannot use --pack ${pack}: expected a whole number >= 1`);
  }
  for (const model of new Set(runs.map((run) => run.model))) {
    const measured = measureFiles(config.measures).map(({ file }) => file);
    await checkInputs(model, ...measured, ...new Set(runs.map(({ data }) => data)));
  }
  const parts = Math.ceil(runs.length / pack);
  const identities = await identify(runs, config.measures);
  const [partition, gres, time] = ["partition", "gres", "time"].map((option) => args.text(option));
  const base = path.replace(/^.*[/\\]|\.json$/g, "").replace(/[^\w.-]/g, "_");
  const name = `olora-${base}-${await identities.name()}-${parts}`;
  const queue = new Slurm({
    name,
    parts,
    command: taskCommand(path, args),
    work: config.work,
    ...(partition !== undefined && { partition }),
    ...(gres !== undefined && { gres }),
    ...(time !== undefined && { time }),
  });
  const made = await identities.find(await readPartRows(config.work));
  const held = new Set(made.map(({ number }) => number));
  output.note(`${runs.length} runs in ${parts} tasks, rows in ${config.rows}`);
  output.note(describeCost(runs.filter((_, i) => !held.has(i)), await readRows(config.rows)));

  using signal = interruption(() => output.note("\nStopping to wait."));
  const bar = progressBar();
  let done = held.size;
  const control = { identities, parts, queue, stopped: signal.stopped };
  for await (const event of sweepArray(config, runs, control)) {
    const { running, waiting, reason, note, total } = event;
    if (note) output.note(note);
    done = event.done;
    const label = `${running} running, ${waiting} waiting${reason ? ` (${reason})` : ""}`;
    bar.update({ done, total, resumedAt: held.size, label, unit: "run" });
  }
  bar.finish();
  if (done < runs.length) {
    throw new StoppedError(
      `Cannot finish: ${done} of ${runs.length} runs done; the array goes on (\`scancel --name ${name}\` ends it), ` +
        "and the same command waits again and gathers the rows",
    );
  }
  output.say(`${runs.length} runs, ${done - held.size} of them made now; rows in ${config.rows}`);
  return { runs: runs.length, made: done - held.size, rows: config.rows };
}

/** The words that start a task of a sweep with this very Deno, this very kit and the permissions of `deno task olora`. */
function taskCommand(path: string, args: Arguments): string[] {
  const env =
    "XDG_RUNTIME_DIR,OLORA_ADAPTER,HF_HOME,HF_HUB_CACHE,HF_HUB_OFFLINE,HF_ENDPOINT,HF_TOKEN,HOME,USERPROFILE,XDG_CACHE_HOME";
  const permissions = [
    "--allow-read",
    "--allow-write",
    "--allow-net",
    "--allow-sys=systemMemoryInfo",
    `--allow-env=${env}`,
  ];
  const main = import.meta.resolve("./main.ts");
  const [model, limit] = [args.text("model"), args.number("limit")];
  const given = [
    ...(model === undefined ? [] : ["--model", model]),
    ...(limit === undefined ? [] : ["--limit", String(limit)]),
  ];
  return [Deno.execPath(), "run", "--no-prompt", ...permissions, main, "sweep", path, ...given];
}
