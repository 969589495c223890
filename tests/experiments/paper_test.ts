import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { type MeasuredRun, measureFiles } from "../../lib/experiments/measure.ts";
import { expand } from "../../lib/experiments/sweep.ts";
import { readSweep } from "../../lib/experiments/sweep_file.ts";
import { parseRows } from "../../lib/io/data_file.ts";
import { parseHubName } from "../../lib/io/hub_name.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";
import { oloraWith, outcome } from "../cli/command_line.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/hub_client.ts";

const PAPER = decodeURIComponent(new URL("../../data/experiments/paper.json", import.meta.url).pathname);

/** Rows in the fields that each task's dataset has on the hub. */
const ROWS: Record<string, Record<string, unknown[]>> = {
  boolq: {
    passage: ["Snow is cold.", "Soup is warm."],
    question: ["is snow cold", "is soup cold"],
    answer: [true, false],
  },
  hellaswag: {
    ...{ activity_label: ["Eating", "Rest"], ctx_a: ["A man sits.", "A hen sits."], ctx_b: ["he", "it"] },
    ...{ endings: [["eats.", "flies."], ["rests.", "sings."]], label: ["0", "0"] },
  },
  openbookqa: {
    question: ["A hen", "Soup"],
    choices: [["lays", "barks"], ["is eaten", "runs"]],
    label: [0, 0],
  },
  piqa: {
    goal: ["Eat soup", "Nap"],
    sol1: ["with a spoon", "in bed"],
    sol2: ["with a hat", "in a tree"],
    label: [0, 0],
  },
  social_iqa: {
    ...{ context: ["Max ate soup.", "Eve slept."], question: ["How is Max?", "How is Eve?"] },
    ...{ answerA: ["full", "tired"], answerB: ["hungry", "rested"], answerC: ["angry", "sad"] },
    label: ["1", "2"],
  },
  winogrande: {
    sentence: ["The hen saw the cup and _ flew.", "The soup is in the cup, so _ is full."],
    ...{ option1: ["the hen", "the soup"], option2: ["the cup", "the cup"], answer: ["1", "2"] },
  },
};

/** A cache that holds the files of the experiment's data, some rows each. */
async function fillCache(cache: string) {
  const config = await readSweep(PAPER);
  const put = async (spec: string, content: Uint8Array) => {
    const { repo, revision, file } = parseHubName(parseRows(spec).file);
    const path = `${cache}/datasets--${repo.replace("/", "--")}/snapshots/${revision}/${file}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, content);
  };
  const alpaca = Array.from(
    { length: 1030 },
    (_, i) => ({ instruction: `Say ${i}.`, input: "", output: `${i}` }),
  );
  await put(config.measures.validation, new TextEncoder().encode(JSON.stringify(alpaca)));
  for (const { task, file } of measureFiles(config.measures)) {
    if (task === undefined) continue;
    const columns = Object.entries(ROWS[task] ?? {}).map(([name, data]) => ({ name, data }));
    await put(
      file,
      columns.length
        ? new Uint8Array(parquetWriteBuffer({ columnData: columns }))
        : await Deno.readFile(fixturePath("arc.parquet")),
    );
  }
}

Deno.test("data/experiments/paper.json names only commits, and says of each setting where it comes from", async () => {
  const config = await readSweep(PAPER);
  const runs = expand(config);
  const specs = [...runs.flatMap(({ data, evaluation }) => [data, evaluation!.data])];
  specs.push(...measureFiles(config.measures).map(({ file }) => file));
  for (const spec of new Set(specs)) {
    assertMatch(parseHubName(parseRows(spec).file).revision, /^[0-9a-f]{40}$/);
  }
  const named = Object.keys(config.sources!).flatMap((names) => names.split(", "));
  const settings = Object.keys(config.base).filter((name) => name !== "evaluation" && name !== "recompute");
  const own = [...settings, ...Object.keys(config.grid[0]), "evaluation.every", "tasks"];
  assertEquals(own.filter((name) => !named.includes(name)), []);
  for (const source of Object.values(config.sources!)) {
    assertMatch(source, /confirmed|remembered|chosen|derived|are f32 here/);
  }
  // Every model's rates at both ranks: the author's with three seeds, the others with one.
  for (const model of new Set(runs.map(({ model }) => model))) {
    const rates = runs.filter((run) => run.model === model && run.rank === 64 && run.method === "lora")
      .map(({ learningRate }) => learningRate);
    assertEquals(rates.filter((rate) => rate === 3e-4).length, 3);
    assertEquals(new Set(rates).size, 7);
  }
});

Deno.test("olora sweep makes a run of the paper's experiment on a small model, cut short, without a network", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/data/experiments`, { recursive: true });
    await Deno.copyFile(PAPER, `${folder}/data/experiments/paper.json`);
    await fillCache(`${folder}/cache`);
    const env = { HF_HUB_CACHE: `${folder}/cache`, HF_HUB_OFFLINE: "1" };
    const sweep = (...words: string[]) => {
      const part = ["--part", "1/36", "--json"];
      return outcome(
        oloraWith(env, "sweep", `${folder}/data/experiments/paper.json`, "--limit", "2", ...part, ...words),
      );
    };
    const ended = await sweep("--model", "tiny");
    assertEquals(ended.code, 0, ended.stderr);
    const { runs, made, leftOut, memory } = JSON.parse(ended.stdout);
    assertEquals([runs, made, leftOut], [1, 1, 0]);
    assert(memory.every(({ bytes }: { bytes: { total: number } }) => bytes.total > 0));
    assertStringIncludes(ended.stderr, "rank: remembered, 32 and 64");
    assertMatch(ended.stderr, /1 run of olora r 32 on tiny: [\d.]+ GB of memory/);
    const rows = (await readJsonl(`${folder}/out/paper/limit-2/parts/1-of-36.jsonl`))
      .map(({ value }) => value as MeasuredRun);
    assertEquals(rows.map(({ config: { method, rank, seqLen, steps } }) => [method, rank, seqLen, steps]), [
      ["olora", 32, 255, 2],
    ]);
    for (const { curve, final } of rows) {
      assertEquals(curve.map(({ step }) => step), [0, 2]);
      const { tasks } = final;
      assertEquals(Object.keys(tasks!), [
        ...[
          "arc_challenge",
          "arc_easy",
          "boolq",
          "hellaswag",
          "openbookqa",
          "piqa",
          "social_iqa",
          "winogrande",
        ],
      ]);
      const shares = Object.values(tasks!).map(({ accuracy }) => accuracy);
      assertEquals(Object.values(tasks!).map(({ items }) => items), Object.keys(tasks!).map(() => 2));
      assertEquals(final.accuracy, shares.reduce((sum, share) => sum + share) / shares.length);
    }

    const away = await sweep();
    assertEquals(away.code, 1);
    assertMatch(away.stderr, /left out, \d+ runs of olora r 32: Cannot load model hf:mistralai/);
    assertMatch(away.stderr, /error: Cannot load model hf:mistralai\/Mistral-7B-v0.1 offline/);
  }));
