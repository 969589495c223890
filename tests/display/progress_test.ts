import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type DisplayFunction,
  formatDuration,
  notebookProgress,
  progressHtml,
  progressLine,
  terminalProgress,
} from "../../lib/display/progress.ts";

const state = { done: 30, total: 120, startedAt: 1000, now: 11_000, label: "olora", extra: "loss 2.1" };

Deno.test("progressLine() shows bar, count, share, rate and time left", () => {
  assertEquals(
    progressLine(state, 70),
    "olora  ━━━━───────────  30/120  25 %  3.0 steps/s  0:30 left  loss 2.1",
  );
  assertEquals(progressLine({ ...state, done: 2 }, 200).split("  ").slice(-3), [
    "5.0 s/step",
    "9:50 left",
    "loss 2.1",
  ]);
});

Deno.test("progressLine() counts only what was done since a run was resumed", () => {
  assertStringIncludes(progressLine({ ...state, resumedAt: 20 }), "1.0 steps/s  1:30 left");
});

Deno.test("progressLine() says nothing of rates before the first step, and the time spent at the end", () => {
  assertStringIncludes(progressLine({ ...state, done: 0 }), "0/120  0 %  loss");
  assertStringIncludes(progressLine({ ...state, done: 120 }), "120/120  100 %  12.0 steps/s  in 0:10");
  assertStringIncludes(progressLine({ ...state, done: 0, total: 0 }), "0/0  100 %");
});

Deno.test("progressLine() shows bytes in the unit that fits their number", () => {
  const bytes = { startedAt: 0, now: 10_000, unit: "byte", label: "model.safetensors" };
  assertEquals(
    progressLine({ ...bytes, done: 12_340_000, total: 93_100_000, resumedAt: 2_340_000 }, 60),
    "model.safetensors  12.3/93.1 MB  13 %  1.0 MB/s  1:21 left",
  );
  assertStringIncludes(
    progressLine({ ...bytes, done: 999, total: 999 }),
    "999/999 B  100 %  100 B/s  in 0:10",
  );
  assertStringIncludes(
    progressLine({ ...bytes, done: 5e8, total: 14e9 }),
    "0.5/14.0 GB  3 %  50.0 MB/s  4:30",
  );
});

Deno.test("progressLine() is never wider than the terminal", () => {
  for (let columns = 1; columns < 120; columns++) assert([...progressLine(state, columns)].length <= columns);
});

Deno.test("formatDuration() writes minutes and hours", () => {
  assertEquals([7, 59.6, 754, 3723].map(formatDuration), ["0:07", "1:00", "12:34", "1:02:03"]);
});

function recorder(isTerminal: boolean) {
  const written: string[] = [];
  const clock = { now: 0 };
  const reporter = terminalProgress({
    write: (text) => written.push(text),
    isTerminal,
    columns: 80,
    now: () => clock.now,
  });
  return { written, clock, reporter };
}

Deno.test("terminalProgress() rewrites one line at most ten times a second, and ends with the last state", () => {
  const { written, clock, reporter } = recorder(true);
  for (let done = 1; done <= 100; done++) {
    clock.now = done * 10;
    reporter.update({ done, total: 100 });
  }
  reporter.finish();
  assertEquals(written.length, 1 + 9 + 1 + 1);
  assert(written.slice(0, -1).every((text) => text.startsWith("\r") && text.endsWith("\x1b[K")));
  assertStringIncludes(written.at(-2)!, "100/100");
  assertEquals(written.at(-1), "\n");
});

Deno.test("terminalProgress() writes a line for each tenth where there is no terminal", () => {
  const { written, clock, reporter } = recorder(false);
  for (let done = 1; done <= 1000; done++) {
    clock.now = done;
    reporter.update({ done, total: 1000 });
  }
  reporter.finish();
  assertEquals(written.length, 11);
  assert(written.every((text) => text.endsWith("\n") && !text.includes("\r") && !text.includes("\x1b")));
});

Deno.test("terminalProgress() breaks a long silence in a log after 30 s", () => {
  const { written, clock, reporter } = recorder(false);
  for (const [done, now] of [[1, 0], [2, 29_000], [3, 31_000]]) {
    clock.now = now;
    reporter.update({ done, total: 1000 });
  }
  assertEquals(written.length, 2);
});

Deno.test("notebookProgress() shows once and then replaces under the same id", () => {
  const calls: { html: unknown; options: unknown }[] = [];
  const display: DisplayFunction = (content, options) => {
    calls.push({ html: content[Symbol.for("Jupyter.display")]()["text/html"], options });
  };
  let clock = 0;
  const reporter = notebookProgress(display, "run-1", () => clock);
  for (let done = 0; done <= 10; done++) {
    clock = done * 100;
    reporter.update({ done, total: 10, label: "<olora>" });
  }
  reporter.finish();
  assertEquals(calls.map(({ options }) => options), [
    { display_id: "run-1", update: false },
    ...Array(4).fill({ display_id: "run-1", update: true }),
  ]);
  assertStringIncludes(calls.at(-1)!.html as string, "10/10 · 100 %");
  assertStringIncludes(calls[0].html as string, "&lt;olora&gt;");
});

Deno.test("progressHtml() has neither scripts nor style elements", () => {
  assertEquals(
    [...progressHtml(state).matchAll(/<(\w+)/g)].every(([, tag]) => ["div", "b"].includes(tag)),
    true,
  );
});
