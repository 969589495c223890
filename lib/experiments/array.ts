import type { RunIdentities } from "./identity.ts";
import { gather, readPartRows, runsOfPart } from "./parts.ts";
import { type ArrayQueue, type ArrayTask, SlurmError } from "./slurm.ts";
import { describeRun, type SweepConfig, type SweepRun } from "./sweep.ts";

/** Tasks that a part gets before it is given up; those that stopped in good order do not count. */
const ATTEMPTS = 3;
/** Failures of the queue itself in a row, e.g. while its controller restarts, before they end the wait. */
const PATIENCE = 20;
/** How a task says that it was stopped and left a checkpoint. */
export const STOPPED = "stopped with";

/** States of tasks that Slurm has done with. */
const ENDED = new Set(
  "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split(
    " ",
  ),
);

/** How an array goes. */
export interface ArrayEvent {
  /** Runs that have a row. */
  readonly done: number;
  /** Runs in all. */
  readonly total: number;
  /** Tasks that run. */
  readonly running: number;
  /** Tasks that wait in the queue. */
  readonly waiting: number;
  /** Why the first of these waits, in Slurm's word. */
  readonly reason?: string;
  /** What was done just now: a submission. */
  readonly note?: string;
}

/** How an array is carried out. */
export interface ArrayControl {
  /** What tells the runs apart. */
  readonly identities: RunIdentities;
  /** Number of parts, a task each. */
  readonly parts: number;
  /** Where tasks are submitted. */
  readonly queue: ArrayQueue;
  /** Asked several times a second; once true, the wait ends and the tasks go on. */
  stopped(): boolean;
}

interface PartState {
  readonly index: number;
  /** Numbers of its runs. */
  readonly runs: readonly number[];
  failures: number;
  /** Array of its last task, as far as it was seen. */
  job?: string;
  /** Why it was given up. */
  failure?: string;
}

/**
 * Makes the runs of a sweep as tasks of a job array: submits the parts that lack a row, waits, submits a part again
 * whose task ended without its rows, and gathers all rows at the end. A part is done when the rows that tasks have
 * written say so; nothing else is remembered, so that the same call goes on after any end of this one, and finds tasks
 * in the queue by their name.
 *
 * @throws {SlurmError} If the queue cannot be reached, or when all else is done and a part failed three times or was
 * cancelled.
 */
export async function* sweepArray(
  config: SweepConfig,
  runs: readonly SweepRun[],
  { identities, parts: of, queue, stopped }: ArrayControl,
): AsyncGenerator<ArrayEvent> {
  const parts = Array.from({ length: of }, (_, i): PartState => {
    return { index: i + 1, runs: runsOfPart(runs.length, { index: i + 1, of }), failures: 0 };
  });
  await gather(config, identities);
  const startedAt = performance.now();
  let finished = await finishedRuns(config, identities);
  const isLeft = ({ runs, failure }: PartState) => !failure && runs.some((number) => !finished.has(number));
  const standing = () => ({ done: finished.size, total: runs.length });
  let refusals = 0;
  let isReached = false;
  while (parts.some(isLeft)) {
    try {
      // The queue first: a task that is no longer in it has written its rows by the time they are read.
      const tasks = await queue.tasks();
      const active = tasks.filter(({ state }) => !ENDED.has(state));
      for (const { part, job } of active) parts[part - 1].job = job;
      finished = await finishedRuns(config, identities);
      const lost = parts.filter(isLeft).filter(({ index }) => !active.some(({ part }) => part === index));
      for (const part of lost) {
        if (part.job !== undefined) await examine(part, part.job, tasks, queue);
      }
      const due = lost.filter(({ failure }) => !failure);
      const again = due.filter(({ job }) => job !== undefined);
      const waiting = active.filter(({ state }) => state === "PENDING");
      const event = {
        ...standing(),
        running: active.length - waiting.length,
        waiting: waiting.length + due.length,
      };
      if (due.length) {
        const job = await queue.submit(due.map(({ index }) => index));
        for (const part of due) part.job = job;
        const first = again.length ? ` (again: part ${again.map(({ index }) => index).join(", ")})` : "";
        const tasks = due.length === 1 ? "1 task" : `${due.length} tasks`;
        yield { ...event, note: `submitted ${tasks} as job ${job}${first}` };
      } else yield { ...event, ...(waiting.length && { reason: waiting[0].reason }) };
      [refusals, isReached] = [0, true];
    } catch (error) {
      if (!(error instanceof SlurmError) || !isReached || ++refusals === PATIENCE) throw error;
    }
    // Soon at first, seldom later: every look costs the controller something.
    const pause = Math.min(15_000, 1000 + (performance.now() - startedAt) / 20);
    for (const end = performance.now() + pause; performance.now() < end;) {
      if (stopped()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await gather(config, identities);
  yield { ...standing(), running: 0, waiting: 0 };
  const failed = parts.filter(({ failure }) => failure);
  if (failed.length) {
    const [{ runs: numbers, failure }] = failed;
    const run = runs[numbers.find((number) => !finished.has(number)) ?? numbers[0]];
    const more = failed.length > 1 ? `; so did ${failed.length - 1} other parts` : "";
    throw new SlurmError(`Cannot finish: run ${describeRun(run)} ${failure}${more}`);
  }
}

/** Finds out why the last task of a part ended without all its rows, and whether the part is given up. */
async function examine(part: PartState, job: string, tasks: readonly ArrayTask[], queue: ArrayQueue) {
  const log = queue.log(part.index, job);
  const state = tasks.find((task) => task.part === part.index && task.job === job)?.state ?? "unknown";
  const said = await lastWords(log);
  if (state === "CANCELLED") part.failure = `was cancelled (job ${job}_${part.index}), see ${log}`;
  else if (state !== "PREEMPTED" && !said.includes(`: ${STOPPED} `) && ++part.failures === ATTEMPTS) {
    part.failure = `failed in ${ATTEMPTS} tasks (the last ended as ${state}), see ${log}: "${said}"`;
  }
}

async function finishedRuns({ work }: SweepConfig, identities: RunIdentities): Promise<Set<number>> {
  return new Set((await identities.find(await readPartRows(work))).map(({ number }) => number));
}

/** The last line of a log that is the task's own. */
async function lastWords(log: string): Promise<string> {
  try {
    const lines = (await Deno.readTextFile(log)).split("\n").map((line) => line.trim());
    return lines.findLast((line) => line !== "" && !line.startsWith("slurmstepd")) ?? "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
