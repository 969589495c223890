import { writeFileAtomic } from "../io/atomic.ts";

/** What Slurm could not do. */
export class SlurmError extends Error {
  /** Name of the error class, `"SlurmError"`. */
  override name = "SlurmError";
}

/** A job array whose task I carries out part I of N of a sweep. */
export interface ArrayJob {
  /** Name in the queue, by which it is found again. */
  readonly name: string;
  /** Number of parts, N. */
  readonly parts: number;
  /** Words of a task's command line; `--part I/N` follows. */
  readonly command: readonly string[];
  /** Folder for the script and the logs. */
  readonly work: string;
  /** Partition; the cluster's own by default. */
  readonly partition?: string;
  /** Generic resources of a task, e.g. `gpu:1`; none by default. */
  readonly gres?: string;
  /** Time limit of a task in Slurm's forms, e.g. `2:00:00`; the partition's by default. */
  readonly time?: string;
}

/** A task of an array, as the queue shows it. */
export interface ArrayTask {
  /** Its part, from 1. */
  readonly part: number;
  /** Id of the array it was submitted with. */
  readonly job: string;
  /** Slurm's name of its state, e.g. `PENDING`. */
  readonly state: string;
  /** Why it waits, or `None`. */
  readonly reason: string;
}

/** What carries out the parts of a sweep. */
export interface ArrayQueue {
  /** Has a task made for each of `parts`; gives the id of their array. */
  submit(parts: readonly number[]): Promise<string>;
  /** The tasks that wait or run, and those that ended a short while ago. */
  tasks(): Promise<ArrayTask[]>;
  /** File that a task's words go to. */
  log(part: number, job: string): string;
}

/** A Slurm cluster, through the programs `sbatch` and `squeue` of this machine. */
export class Slurm implements ArrayQueue {
  readonly #job: ArrayJob;

  /** Submits tasks of `job`. */
  constructor(job: ArrayJob) {
    this.#job = job;
  }

  /** Submits an array; its script stays in the work folder. */
  async submit(parts: readonly number[]): Promise<string> {
    const { work, name } = this.#job;
    const script = `${work}/${name}.sbatch`;
    await Deno.mkdir(`${work}/logs`, { recursive: true });
    await writeFileAtomic(script, batchScript(this.#job));
    const said = await call("sbatch", "--parsable", `--array=${arrayIndices(parts)}`, script);
    return said.trim().split(";")[0];
  }

  /** The user's tasks of this name; Slurm forgets those that ended some minutes ago. */
  async tasks(): Promise<ArrayTask[]> {
    const format = "%F|%K|%j|%T|%r";
    return parseTasks(await call("squeue", "--me", "-h", "-r", "-t", "all", "-o", format), this.#job.name);
  }

  /** The log of a task; a task that Slurm requeues goes on in the same file. */
  log(part: number, job: string): string {
    const { work, name } = this.#job;
    return `${work}/logs/${name}-${part}-${job}.log`;
  }
}

/**
 * The script of an array's tasks. `exec` puts the sweep in the place of the shell, so that Slurm's SIGTERM, at preemption
 * or a minute before the time limit, reaches it and it stops with a checkpoint; `--requeue` makes Slurm start a task
 * again that was preempted or whose node failed.
 */
export function batchScript({ name, parts, command, work, partition, gres, time }: ArrayJob): string {
  const options = {
    "job-name": name,
    output: `${work.replaceAll("%", "%%")}/logs/${name}-%a-%A.log`,
    "open-mode": "append",
    ...(partition !== undefined && { partition }),
    ...(gres !== undefined && { gres }),
    ...(time !== undefined && { time }),
    signal: "B:TERM@60",
  };
  return [
    "#!/bin/sh",
    ...Object.entries(options).map(([option, value]) => `#SBATCH --${option}=${quote(value)}`),
    "#SBATCH --requeue",
    `exec ${command.map(quote).join(" ")} --part "$SLURM_ARRAY_TASK_ID/${parts}"`,
    "",
  ].join("\n");
}

/** A word as the shell and sbatch read it back; plain words stay plain. */
function quote(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Numbers as `--array` takes them: `1,3-5`. */
export function arrayIndices(parts: readonly number[]): string {
  const spans: [number, number][] = [];
  for (const part of parts.toSorted((a, b) => a - b)) {
    const last = spans.at(-1);
    if (last && part <= last[1] + 1) last[1] = part;
    else spans.push([part, part]);
  }
  return spans.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(",");
}

/** The tasks of the arrays called `name` among the lines `array|index|name|state|reason` of squeue. */
export function parseTasks(text: string, name: string): ArrayTask[] {
  return text.split("\n").map((line) => line.split("|")).filter((fields) => fields[2] === name)
    .map(([job, part, , state, reason]) => ({ job, part: Number(part), state, reason }));
}

async function call(program: string, ...args: string[]): Promise<string> {
  let ended: Deno.CommandOutput;
  try {
    ended = await new Deno.Command(program, { args, stdin: "null" }).output();
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound &&
      "it is not on this machine, submit from one that has it";
    const refused = error instanceof Deno.errors.NotCapable &&
      "Deno was not allowed to, expected `deno task olora-slurm` or --allow-run";
    if (!missing && !refused) throw error;
    throw new SlurmError(`Cannot submit to Slurm: cannot start ${program}: ${missing || refused}`);
  }
  const decoder = new TextDecoder();
  if (!ended.success) {
    const said = decoder.decode(ended.stderr).trim().split("\n").join("; ") || `code ${ended.code}`;
    throw new SlurmError(`Cannot submit to Slurm: found "${said}"`);
  }
  return decoder.decode(ended.stdout);
}
