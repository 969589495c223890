import { assertEquals, assertRejects } from "@std/assert";
import { readSweep } from "../../lib/experiments/sweep_file.ts";
import { run } from "../cli/command_line.ts";
import { fixturePath } from "../helpers/fixtures.ts";

const DATA = fixturePath("llama_tied/batches.json");
const SWEEP = {
  base: { model: fixturePath("llama_tied"), data: DATA, rank: 2, steps: 1 },
  grid: [{ method: ["lora"], learningRate: [1e-3], seed: [1] }],
  measures: { validation: DATA },
  rows: "rows.jsonl",
  work: "work",
};

const block = (more: object) => ({ grid: [{ ...SWEEP.grid[0], ...more }] });
const base = (more: object) => ({ base: { ...SWEEP.base, ...more } });
const measures = (more: object) => ({ measures: { ...SWEEP.measures, ...more } });

const WRONG: readonly (readonly [object, string])[] = [
  [{ base: undefined }, "found nothing as base, expected an object of settings"],
  [{ base: "tiny" }, 'found "tiny" as base, expected an object'],
  [{ grid: [] }, "found [] as grid, expected a list of blocks"],
  [{ grid: {} }, "found {} as grid, expected a list of blocks"],
  [{ grid: [["lora"]] }, 'found ["lora"] as grid[0], expected an object of lists'],
  [block({ seed: 1 }), "found 1 as grid[0].seed, expected a list of values"],
  [block({ seed: [] }), "found [] as grid[0].seed, expected a list of values, one at least"],
  [{ measures: 3 }, "found 3 as measures, expected an object of files"],
  [measures({ validation: undefined }), "found nothing as measures.validation, expected a file"],
  [measures({ test: 1 }), "found 1 as measures.test, expected a file"],
  [measures({ tasks: { chess: DATA } }), "as measures.tasks, expected a file, or files by task, of arc_"],
  [measures({ kept: [] }), "found [] as measures.kept, expected a file, or files by task"],
  [measures({ spectrum: "yes" }), 'found "yes" as measures.spectrum, expected true or false'],
  [measures({ sharpness: -1 }), "found -1 as measures.sharpness, expected a whole number >= 0"],
  [measures({ speed: 1 }), "found 1 as measures.speed, expected none, but some of validation, test"],
  [{ rows: 7 }, "found 7 as rows, expected a file"],
  [{ work: [] }, "found [] as work, expected a folder"],
  [{ sources: { rank: 1 } }, "found 1 as sources.rank, expected a text"],
  [{ row: "a" }, 'found "a" as row, expected none, but some of base, grid, measures, rows'],
  [block({ seed: undefined }), "found no seed, expected one in base or grid"],
  [base({ batch: 8 }), 'with "batch": unknown setting'],
  [base({ data: 1 }), "with data 1: expected a path"],
  [base({ steps: "many" }), 'with steps "many": expected a whole number'],
  [base({ clip: "1" }), 'with clip "1": expected a number >= 0'],
  [base({ evaluation: { data: DATA, every: 0 } }), "with evaluation.every 0: expected a whole number >= 1"],
  [base({ rank: "8" }), "rank 8: expected a whole number >= 1"],
  [block({ learningRate: ["fast"] }), 'with learningRate "fast": expected a number >= 0'],
  [block({ seed: [-1] }), "seed -1: expected a whole number >= 0"],
  [block({ method: ["lara"] }), 'method "lara"'],
  [block({ method: [{ method: "lora", gamma: 0 }] }), "gamma 0: expected a number > 0"],
];

async function write(folder: string, more: object): Promise<string> {
  const path = `${folder}/a.json`;
  await Deno.writeTextFile(path, JSON.stringify({ ...SWEEP, ...more }));
  return path;
}

Deno.test("readSweep() names file, field, what it found and expected of each field that a user can get wrong", async () => {
  const folder = await Deno.makeTempDir();
  for (const [more, message] of WRONG) {
    const path = await write(folder, more);
    const error = await assertRejects(() => readSweep(path), Error, message);
    assertEquals(error.message.startsWith(`Cannot sweep ${path}: `), true, error.message);
  }
  assertEquals((await readSweep(await write(folder, {}))).rows, `${folder}/rows.jsonl`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("olora sweep of a part without runs ends well, and of an empty grid says so", async () => {
  const folder = await Deno.makeTempDir();
  const part = await run("sweep", await write(folder, {}), "--part", "1/2", "--json");
  assertEquals([part.code, JSON.parse(part.stdout).runs], [0, 0], part.stderr);
  const empty = await run("sweep", await write(folder, { grid: [] }));
  assertEquals([empty.code, empty.stderr], [
    1,
    `error: Cannot sweep ${folder}/a.json: found [] as grid, expected a list of blocks, one at least\n`,
  ]);
  await Deno.remove(folder, { recursive: true });
});
