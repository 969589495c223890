import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import {
  bestChoice,
  loadMultipleChoice,
  loadPrompts,
  type MultipleChoiceOptions,
  parseMultipleChoice,
} from "../../lib/datasets/multiple_choice.ts";
import { makeTokenizer } from "../../lib/io/tokenizer.ts";
import { fixturePath } from "../helpers/fixtures.ts";
import { byteTokenizer } from "../io/byte_tokenizer.ts";
import { referenceData } from "../helpers/requires.ts";

const tokenizer = makeTokenizer(byteTokenizer());

function items(...rows: unknown[]) {
  return parseMultipleChoice(rows.map((row) => JSON.stringify(row)).join("\n"), "dir/quiz.jsonl", tokenizer);
}

function counted({ ids, mask }: { ids: readonly number[]; mask: readonly boolean[] }): string {
  return tokenizer.decode(ids.filter((_, i) => mask[i]), { keepSpecial: true });
}

Deno.test("parseMultipleChoice() scores the choice after a prompt as it is", () => {
  const [item] = items({ prompt: "The sky is", choices: ["blue", " red"], answer: 0, task: "sky" });
  assertEquals([item.task, item.answer, item.bytes], ["sky", 0, [4, 4]]);
  assertEquals(item.choices.map(counted), [" blue", " red"]);
  assertEquals(tokenizer.decode(item.choices[0].ids), "The sky is blue");
});

Deno.test("parseMultipleChoice() asks a question and reads label as answer", () => {
  const [item] = items({ question: "Why?", choices: ["a", "é"], label: 1 });
  assertEquals([item.task, item.answer, item.bytes, item.characters], ["quiz", 1, [1, 2], [1, 1]]);
  assertEquals(tokenizer.decode(item.choices[1].ids), "Question: Why?\nAnswer: é");
  assertEquals(counted(item.choices[1]), " é");
});

const WRONG: [string, unknown, string][] = [
  ["no question", { choices: ["a", "b"], answer: 0 }, "expected a prompt or a question"],
  ["one choice", { prompt: "a", choices: ["a"], answer: 0 }, 'found ["a"], expected at least 2 choices'],
  ["an empty choice", { prompt: "a", choices: ["a", ""], answer: 0 }, "expected at least 2 choices"],
  [
    "an answer out of range",
    { prompt: "a", choices: ["a", "b"], answer: 2 },
    "found 2, expected an answer from 0 to 1",
  ],
  ["an answer as text", { prompt: "a", choices: ["a", "b"], answer: "a" }, 'found "a"'],
  ["a row that is null", null, "expected a prompt or a question"],
];
for (const [what, row, says] of WRONG) {
  Deno.test(`parseMultipleChoice() refuses ${what}, by its line`, () => {
    const good = { prompt: "a", choices: ["a", "b"], answer: 0 };
    assertThrows(() => items(good, row), SyntaxError, says);
    assertThrows(() => items(good, row), SyntaxError, "dir/quiz.jsonl line 2");
  });
}

/** Rows of questions q0, q1, … in a file, and the contexts of the items. */
async function contexts(
  options: MultipleChoiceOptions,
  files: Record<string, number> = { "quiz.jsonl": 4 },
): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, count] of Object.entries(files)) {
      const stem = name === "quiz.jsonl" ? "q" : "p";
      const rows = Array.from({ length: count }, (_, i) => (
        { question: `${stem}${i}`, choices: ["no", "yes"], label: i % 2 }
      ));
      await Deno.writeTextFile(`${folder}/${name}`, rows.map((row) => JSON.stringify(row)).join("\n"));
    }
    const from = options.shotsFrom && { shotsFrom: `${folder}/${options.shotsFrom}` };
    const prompts = await loadPrompts(`${folder}/quiz.jsonl`, { ...options, ...from });
    return prompts.map((prompt) => prompt.contexts[1]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const asked = (name: string) => `Question: ${name}\nAnswer:`;

Deno.test("loadPrompts() puts the first other rows of the file before a question, answered", async () => {
  const found = await contexts({ shots: 2, limit: 3 });
  const shot = (i: number) => `${asked(`q${i}`)} ${["no", "yes"][i % 2]}\n\n`;
  assertEquals(found, [
    shot(1) + shot(2) + asked("q0"),
    shot(0) + shot(2) + asked("q1"),
    shot(0) + shot(1) + asked("q2"),
  ]);
});

Deno.test("loadPrompts() takes shots from another file, in any task's form", async () => {
  const found = await contexts({ task: "social_iqa", shots: 1, shotsFrom: "train.jsonl" }, {
    "quiz.jsonl": 2,
    "train.jsonl": 1,
  });
  assertEquals(found, ["Q: p0\nA: no\n\nQ: q0\nA:", "Q: p0\nA: no\n\nQ: q1\nA:"]);
});

Deno.test("loadPrompts() with a seed draws each question's shots anew, the same ones for the same seed", async () => {
  const draw = (seed: number, limit = 30) => contexts({ shots: 3, seed, limit }, { "quiz.jsonl": 30 });
  const found = await draw(1);
  assertEquals(await draw(1, 10), found.slice(0, 10));
  const shots = found.map((text) => text.match(/q\d+/g)!);
  for (const names of shots) assertEquals(new Set(names).size, 4);
  assert(new Set(shots.flat()).size > 20 && new Set(shots.map((names) => names[0])).size > 10);
  assert((await draw(2)).some((text, i) => text !== found[i]));
});

Deno.test("loadPrompts() refuses more shots than there are", async () => {
  const shots = contexts({ shots: 4 });
  await assertRejects(
    () => shots,
    RangeError,
    "found 4 rows, expected at least 5, as a question is not among its own",
  );
  await assertRejects(() => contexts({ shots: 2.5 }), RangeError, "Cannot use 2.5 shots");
});

Deno.test("loadMultipleChoice() names line or row of a task's malformed row", async () => {
  const folder = await Deno.makeTempDir();
  const goal = ["Eat soup", "Nap"];
  const columnData = [{ name: "goal", data: goal, type: "STRING" as const }];
  await Deno.writeFile(`${folder}/a.parquet`, new Uint8Array(parquetWriteBuffer({ columnData })));
  const good = { goal: "a", sol1: "b", sol2: "c", label: 0 };
  await Deno.writeTextFile(
    `${folder}/a.jsonl`,
    `${JSON.stringify(good)}\n\n${JSON.stringify({ goal: "a" })}`,
  );
  const load = (name: string) => loadMultipleChoice(`${folder}/${name}`, tokenizer, { task: "piqa" });
  await assertRejects(() => load("a.parquet"), SyntaxError, "a.parquet row 1: found nothing as sol1");
  await assertRejects(() => load("a.jsonl"), SyntaxError, "a.jsonl line 3: found nothing as sol1");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("loadMultipleChoice() reads parquet in the hub's types", async () => {
  const [warm, sells] = await loadMultipleChoice(fixturePath("arc.parquet"), tokenizer, { task: "arc_easy" });
  assertEquals([warm.task, warm.answer, warm.choices.length], ["arc_easy", 1, 3]);
  assertEquals(tokenizer.decode(warm.choices[1].ids), "Question: Which of these is warm?\nAnswer: the sun");
  assertEquals(counted(sells.choices[1]), " bricks");
});

Deno.test("bestChoice() takes the largest log-likelihood, or the largest per byte", () => {
  assertEquals(bestChoice([-3, -2, -4]), 1);
  assertEquals(bestChoice([-3, -2, -4], [3, 1, 8]), 2);
});

const tasks = referenceData("evaltasks");
Deno.test({
  name: "loadMultipleChoice() reads published tasks whole",
  ignore: tasks.ignore,
  async fn() {
    const counts = { "openbookqa": 500, "boolq": 3270, "ARC-Challenge": 1172 };
    for (const [task, count] of Object.entries(counts)) {
      const found = await loadMultipleChoice(`${tasks.path}/${task}.jsonl`, tokenizer);
      assertEquals([found.length, found[0].task], [count, task]);
    }
  },
});
