import { assertEquals, assertThrows } from "@std/assert";
import { freshRuns } from "../../data/make/fresh.ts";
import { expand, type RunRow, type SweepConfig } from "../../mod.ts";

const search: SweepConfig = {
  base: { model: "tiny", data: "facts.jsonl", steps: 10, rank: 8 },
  grid: [{
    seed: [1],
    learningRate: [1, 2, 3, 4, 5],
    method: [{ method: "olora" }, { method: "lora", rank: 4 }],
  }],
  measures: { validation: "facts.jsonl" },
  rows: "../results/tried.jsonl",
  work: "../../out/tried",
};

/** Rows whose loss is lowest at the rate that `best` gives for a method. */
function rowsWith(best: Record<string, number>): RunRow[] {
  return expand(search).map((config) => ({
    ...{
      run: "",
      device: "",
      isSoftware: true,
      curve: [],
      trainable: 1,
      deviceBytes: 1,
      initMs: 1,
      diverged: false,
    },
    config: { ...config },
    final: { validation: Math.abs(config.learningRate - best[config.method]) },
  }));
}

Deno.test("freshRuns() takes each setting's best rate to fresh seeds and permutations on three bases", () => {
  const { study, edges } = freshRuns(search, rowsWith({ olora: 3, lora: 5 }), "tried");
  assertEquals(study.grid[0].method, [{ method: "olora", learningRate: 3 }, {
    method: "lora",
    rank: 4,
    learningRate: 5,
  }]);
  assertEquals(study.base, { data: "facts.jsonl", steps: 10, rank: 8 });
  const runs = expand(study);
  assertEquals(runs.length, 20);
  assertEquals(new Set(runs.map(({ model }) => model)), new Set(["tiny", "tiny:2", "tiny:3"]));
  assertEquals(runs.every(({ seed, permutation }) => seed > 10 && permutation === seed), true);
  assertEquals(edges, ['{"method":"lora","rank":4} at 5']);
  assertEquals([study.rows, study.work], ["../results/tried-study.jsonl", "../../out/tried-study"]);
});

Deno.test("freshRuns() chooses no rate for a setting whose runs are missing or diverged", () => {
  const rows = rowsWith({ olora: 3, lora: 3 });
  const cut = rows.filter(({ config }) => config.method !== "lora");
  assertThrows(
    () => freshRuns(search, cut, "tried"),
    RangeError,
    'Cannot choose a rate for {"method":"lora","rank":4}',
  );
  const diverged = rows.map((row) => ({ ...row, diverged: true }));
  assertThrows(() => freshRuns(search, diverged, "tried"), RangeError, "expected a run of it that ended");
});
