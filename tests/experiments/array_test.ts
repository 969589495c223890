import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type ArrayEvent, STOPPED, sweepArray } from "../../lib/experiments/array.ts";
import { RunIdentities } from "../../lib/experiments/identity.ts";
import { addRows, partFile, readRows } from "../../lib/experiments/parts.ts";
import { type ArrayQueue, type ArrayTask, SlurmError } from "../../lib/experiments/slurm.ts";
import type { SweepConfig, SweepRun } from "../../lib/experiments/sweep.ts";
import { fakeRow } from "./fake_rows.ts";

const KEYS = ["a", "b", "c"];
const RUNS = KEYS.map((data, i): SweepRun => {
  return { model: "tiny", data, method: "olora", learningRate: 0.1, seed: i + 1 };
});

/** How a task ends: the row is there or not, and Slurm says a state and the log a line. */
interface End {
  state: string;
  hasRow: boolean;
  said?: string;
}

const MADE: End = { state: "COMPLETED", hasRow: true };

/** A queue whose tasks end at once, the n-th of a part as the n-th of its `ends` says, or well when there is none. */
class FakeQueue implements ArrayQueue {
  readonly submissions: number[][] = [];
  readonly #ended: ArrayTask[] = [];
  readonly #tasks = new Map<number, number>();

  constructor(readonly work: string, readonly ends: Record<number, End[]>) {}

  async submit(parts: readonly number[]): Promise<string> {
    const job = String(this.submissions.push([...parts]));
    for (const part of parts) {
      const count = this.#tasks.get(part) ?? 0;
      this.#tasks.set(part, count + 1);
      const { state, hasRow, said } = this.ends[part]?.[count] ?? MADE;
      if (hasRow) {
        const file = partFile(this.work, { index: part, of: KEYS.length });
        await addRows(file, [await fakeRow(KEYS[part - 1])], this.work);
      }
      await Deno.writeTextFile(
        this.log(part, job),
        `adapter: imagined\n${said ?? ""}\nslurmstepd: error: x\n`,
      );
      this.#ended.push({ part, job, state, reason: "None" });
    }
    return job;
  }

  tasks(): Promise<ArrayTask[]> {
    return Promise.resolve([...this.#ended]);
  }

  log(part: number, job: string): string {
    return `${this.work}/${part}-${job}.log`;
  }
}

/** Carries out the sweep on a queue of that kind, to its end or its error. */
async function carryOut(ends: Record<number, End[]>, change: (queue: FakeQueue) => void = () => {}) {
  const work = await Deno.makeTempDir();
  await Deno.mkdir(`${work}/parts`);
  const queue = new FakeQueue(work, ends);
  change(queue);
  const config = { rows: `${work}/rows.jsonl`, work } as SweepConfig;
  const identities = new RunIdentities(KEYS);
  const events: ArrayEvent[] = [];
  let error: Error | undefined;
  const control = { identities, parts: KEYS.length, queue, stopped: () => false };
  try {
    for await (const event of sweepArray(config, RUNS, control)) events.push(event);
  } catch (thrown) {
    error = thrown as Error;
  }
  const made = (await identities.find(await readRows(config.rows))).map(({ number }) => number);
  await Deno.remove(work, { recursive: true });
  return { submissions: queue.submissions, made, events, error };
}

Deno.test("sweepArray() submits all parts, then again those whose task ended without its row, and gathers", async () => {
  const { submissions, made, events, error } = await carryOut({
    1: [MADE],
    2: [{ state: "FAILED", hasRow: false }, { state: "NODE_FAIL", hasRow: false }],
  });
  assertEquals(error, undefined);
  assertEquals(submissions, [[1, 2, 3], [2], [2]]);
  assertEquals(made, [0, 1, 2]);
  assertEquals(events.map(({ note }) => note).filter(Boolean), [
    "submitted 3 tasks as job 1",
    "submitted 1 task as job 2 (again: part 2)",
    "submitted 1 task as job 3 (again: part 2)",
  ]);
  assertEquals([events[0].done, events.at(-1)!.done, events.at(-1)!.total], [0, 3, 3]);
});

Deno.test("sweepArray() gives a part up after three failures, naming run and log, when the others are done", async () => {
  const failure = { state: "OUT_OF_MEMORY", hasRow: false, said: "error: Cannot attach: too large" };
  const { submissions, made, error } = await carryOut({ 2: [failure, failure, failure] });
  assertEquals(submissions, [[1, 2, 3], [2], [2]]);
  assertEquals(made, [0, 2]);
  assert(error instanceof SlurmError);
  assertStringIncludes(error.message, "Cannot finish: run olora 0.1 seed 2 failed in 3 tasks");
  assertStringIncludes(error.message, "the last ended as OUT_OF_MEMORY");
  assertStringIncludes(error.message, '/2-3.log: "error: Cannot attach: too large"');
});

Deno.test("sweepArray() counts no task that was stopped or preempted, and takes a cancelled one for wanted", async () => {
  const stopped = {
    state: "FAILED",
    hasRow: false,
    said: `error: Cannot finish: ${STOPPED} 0 of 1 runs done`,
  };
  const preempted = { state: "PREEMPTED", hasRow: false };
  const { submissions, made, error } = await carryOut({
    1: [stopped, stopped, preempted, stopped, MADE],
    3: [{ state: "CANCELLED", hasRow: false, said: `error: Cannot finish: ${STOPPED} 0 of 1 runs done` }],
  });
  assertEquals(submissions, [[1, 2, 3], [1], [1], [1], [1]]);
  assertEquals(made, [0, 1]);
  assertStringIncludes(error!.message, "Cannot finish: run olora 0.1 seed 3 was cancelled (job 1_3), see");
});

Deno.test("sweepArray() outlasts a queue that does not answer for a while, but not one that never did", async () => {
  let calls = 0;
  const refuse = (queue: FakeQueue, isRefused: (call: number) => boolean) => {
    const tasks = queue.tasks.bind(queue);
    queue.tasks = () => isRefused(++calls) ? Promise.reject(new SlurmError("Cannot submit: down")) : tasks();
  };
  const late = await carryOut({}, (queue) => refuse(queue, (call) => call === 2 || call === 3));
  assertEquals([late.error, late.made], [undefined, [0, 1, 2]]);
  const never = await carryOut({}, (queue) => refuse(queue, () => true));
  assertEquals([never.error?.message, never.submissions], ["Cannot submit: down", []]);
});
