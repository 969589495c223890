import { assertEquals, assertThrows } from "@std/assert";
import { bestChoice, loadMultipleChoice, parseMultipleChoice } from "../../lib/datasets/multiple_choice.ts";
import { makeTokenizer } from "../../lib/io/tokenizer.ts";
import { byteTokenizer } from "../io/byte_tokenizer.ts";
import { referenceData } from "../io/reference_data.ts";

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
  assertEquals([item.task, item.answer, item.bytes], ["quiz", 1, [1, 2]]);
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
