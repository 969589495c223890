import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type RunHandle, startRun } from "../../lib/train/run_handle.ts";

const worker = new URL("../notebooks/busy_worker.ts", import.meta.url);
const busy = (config: { steps: number; stepMs: number; failAt?: number }, name = "test") =>
  startRun(config, { worker, name });

Deno.test("startRun() returns before the training has begun, and wait() blocks until its end", () => {
  const run = busy({ steps: 10, stepMs: 5 });
  assertEquals(run.state, "running");
  assertEquals(run.events.length, 0);
  run.wait();
  assertEquals(run.state, "finished");
  assertEquals(run.events.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

Deno.test("RunHandle.done resolves with the last event", async () => {
  assertEquals((await busy({ steps: 5, stepMs: 5 }).done)?.step, 5);
});

Deno.test("RunHandle.wait(ms) gives up after its time and leaves the run going", () => {
  const run = busy({ steps: 4000, stepMs: 5 });
  const begin = performance.now();
  run.wait(300);
  assert(performance.now() - begin >= 300);
  assertEquals(run.state, "running");
  run.stop();
});

Deno.test("RunHandle.stop() returns when the training has ended", () => {
  const run = busy({ steps: 4000, stepMs: 5 });
  run.wait(500);
  run.stop();
  assertEquals(run.state, "stopped");
  assertEquals(run.events.length, run.last!.step);
  assert(run.last!.step < 4000);
});

Deno.test("RunHandle.onProgress() tells of news and of the end, with and without the event loop", async () => {
  for (const wait of [(run: RunHandle) => run.wait(), (run: RunHandle) => run.done]) {
    const run = busy({ steps: 30, stepMs: 20 });
    const seen: [string, number][] = [];
    run.onProgress(({ state, events }) => seen.push([state, events.length]));
    await wait(run);
    assertEquals(seen.at(-1), ["finished", 30]);
    assert(seen.length > 1 && seen.length < 30);
  }
});

Deno.test("RunHandle: a training that throws is a failed run, and its error is thrown where it is waited for", async () => {
  const run = busy({ steps: 10, stepMs: 5, failAt: 4 });
  const error = assertThrows(() => run.wait(), Error, "Cannot do step 4: loss is NaN");
  assertEquals([error.name, run.state, run.events.length], ["RangeError", "failed", 3]);
  await assertRejects(() => run.done, Error, "Cannot do step 4");
});

Deno.test("RunHandle: a Worker whose module does not load is a failed run", async () => {
  const run = startRun({}, {
    worker: new URL("data:application/javascript,throw new RangeError('no GPU')"),
    name: "test",
  });
  await assertRejects(() => run.done, Error);
  assertEquals(run.state, "failed");
  assertStringIncludes(run.failure!.message, "no GPU");
});

Deno.test("startRun() under the name of a run that is going stops that one, and no other", () => {
  const other = busy({ steps: 4000, stepMs: 5 }, "other");
  const first = busy({ steps: 4000, stepMs: 5 });
  first.wait(300);
  const second = busy({ steps: 4000, stepMs: 5 });
  assertEquals([first.state, second.state, other.state], ["stopped", "running", "running"]);
  second.stop();
  other.stop();
});
