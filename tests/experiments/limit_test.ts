import { assertEquals } from "@std/assert";
import { limitRun, limitSweep, runsOn } from "../../lib/experiments/limit.ts";
import type { SweepConfig, SweepRun } from "../../lib/experiments/sweep.ts";

const run: SweepRun = {
  ...{ model: "a", data: "x.jsonl[16:]", method: "olora", learningRate: 1, seed: 1, steps: 500, seqLen: 255 },
  evaluation: { data: "x.jsonl[:16]", every: 100 },
};

Deno.test("limitRun() cuts updates, rows and evaluations, and leaves what is shorter", () => {
  const { data, steps, evaluation } = limitRun(run, 4);
  assertEquals([data, steps], ["x.jsonl[16:20]", 4]);
  assertEquals(evaluation, { data: "x.jsonl[0:4]", every: 4 });
  assertEquals(limitRun({ ...run, accumulate: 3 }, 4).data, "x.jsonl[16:28]");
  const wide = limitRun(run, 1000);
  assertEquals([wide.steps, wide.evaluation!.every], [500, 100]);
  assertEquals(wide.evaluation!.data, "x.jsonl[0:16]");
});

Deno.test("limitSweep() cuts what runs are measured on, in files and rows of its own", () => {
  const measures = {
    ...{ validation: "v.jsonl[:1024]", test: "t.jsonl", general: "g.jsonl", kept: "k.jsonl", spectrum: true },
    tasks: { piqa: "p.parquet", boolq: "b.parquet[1:3]" },
  };
  const config: SweepConfig = { base: {}, grid: [], measures, rows: "rows.jsonl", work: "work" };
  assertEquals(limitSweep(config, 5), {
    base: {},
    grid: [],
    measures: {
      spectrum: true,
      ...{ validation: "v.jsonl[0:5]", test: "t.jsonl[0:5]", general: "g.jsonl[0:5]", kept: "k.jsonl[0:5]" },
      tasks: { piqa: "p.parquet[0:5]", boolq: "b.parquet[1:3]" },
    },
    rows: "work/limit-5/rows.jsonl",
    work: "work/limit-5",
  });
  const few = { ...config, measures: { validation: "v.jsonl" } };
  assertEquals(limitSweep(few, 5).measures, { validation: "v.jsonl[0:5]" });
});

Deno.test("runsOn() makes the runs of several models once, with sequences that the model takes", () => {
  const runs = [run, { ...run, model: "b" }, { ...run, model: "b", seed: 2 }, { ...run, seqLen: 100 }];
  const moved = runsOn("c", 128, runs);
  assertEquals(moved.map(({ model, seed, seqLen }) => [model, seed, seqLen]), [
    ["c", 1, 128],
    ["c", 2, 128],
    ["c", 1, 100],
  ]);
});
