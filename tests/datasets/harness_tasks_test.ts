import { assertEquals, assertThrows } from "@std/assert";
import { askHarness, HARNESS_TASKS, type HarnessTask } from "../../lib/datasets/harness_tasks.ts";

const LETTERED = { choices: { text: ["red", "blue"], label: ["A", "B"] }, answerKey: "B" };

/** Rows in the hub's fields, and what the harness makes of them: contexts, continuations, answer. */
const ASKED: [HarnessTask, Record<string, unknown>, string[] | string, string[] | string, number][] = [
  ["arc_easy", { question: "Sky?", ...LETTERED }, "Question: Sky?\nAnswer:", [" red", " blue"], 1],
  [
    "arc_challenge",
    { question: "Sky?", choices: { text: ["a", "b", "c"], label: ["1", "2", "3"] }, answerKey: "3" },
    "Question: Sky?\nAnswer:",
    [" a", " b", " c"],
    2,
  ],
  [
    "boolq",
    { passage: "It is.", question: "is it", label: 1 },
    "It is.\nQuestion: is it?\nAnswer:",
    [" no", " yes"],
    1,
  ],
  [
    "boolq",
    { passage: "It is.", question: "is it", answer: false },
    "It is.\nQuestion: is it?\nAnswer:",
    [" no", " yes"],
    0,
  ],
  [
    "hellaswag",
    {
      activity_label: "Cooking",
      ctx_a: "[header] How to cook [title] Wait.",
      ctx_b: "then He",
      endings: ["eats.", "[step] sleeps  well."],
      label: "1",
    },
    "Cooking: How to cook. Wait. Then he",
    [" eats.", "  sleeps well."],
    1,
  ],
  ["openbookqa", { question_stem: "The sky is ", ...LETTERED, answerKey: " A" }, "The sky is", [
    "  red",
    "  blue",
  ], 0],
  [
    "piqa",
    { goal: "Eat soup", sol1: "use a spoon", sol2: "use a fork", label: 0 },
    "Question: Eat soup\nAnswer:",
    [" use a spoon", " use a fork"],
    0,
  ],
  [
    "social_iqa",
    { context: "Ann left.", question: "Why?", answerA: "x", answerB: "y", answerC: "z", label: "3" },
    "Q: Ann left. Why?\nA:",
    [" x", " y", " z"],
    2,
  ],
  [
    "winogrande",
    { sentence: "Ann met Bea, and _ 's smile _ won.", option1: "Ann", option2: "Bea", answer: "2" },
    ["Ann met Bea, and Ann", "Ann met Bea, and Bea"],
    " 's smile _ won.",
    1,
  ],
];
for (const [task, row, contexts, continuations, answer] of ASKED) {
  Deno.test(`askHarness() asks ${task} as lm-evaluation-harness does: ${JSON.stringify(row).slice(0, 40)}`, () => {
    const asked = askHarness(task, row);
    const n = asked.choices.length;
    const all = (texts: string[] | string) => typeof texts === "string" ? Array(n).fill(texts) : texts;
    assertEquals(asked.contexts, all(contexts));
    assertEquals(asked.continuations, all(continuations));
    assertEquals(asked.answer, answer);
  });
}

Deno.test("askHarness() asks rows of question, choices and label in every task's form", () => {
  const row = { question: "Is _ it?", choices: ["false", "true"], label: 1 };
  const contexts = Object.fromEntries(HARNESS_TASKS.map((task) => [task, askHarness(task, row).contexts[1]]));
  assertEquals(contexts, {
    arc_challenge: "Question: Is _ it?\nAnswer:",
    arc_easy: "Question: Is _ it?\nAnswer:",
    boolq: "Question: Is _ it?\nAnswer:",
    hellaswag: "Is _ it?",
    openbookqa: "Is _ it?",
    piqa: "Question: Is _ it?\nAnswer:",
    social_iqa: "Q: Is _ it?\nA:",
    winogrande: "Is true",
  });
  assertEquals(askHarness("piqa", { ...row, answer: null }).answer, 1);
  assertEquals(askHarness("boolq", row).continuations, [" no", " yes"]);
  assertEquals(askHarness("winogrande", row).choices, ["it?", "it?"]);
});

const WRONG: [HarnessTask, Record<string, unknown>, string][] = [
  [
    "piqa",
    { goal: 3 },
    "found 3 as goal, expected a text (rows have goal, sol1, sol2, label; or question, choices, label)",
  ],
  ["piqa", { goal: "a", sol1: "b" }, "found nothing as sol2"],
  ["piqa", { goal: "a", sol1: "b", sol2: "c", label: 2 }, "found 2 as label, expected an answer from 0 to 1"],
  ["social_iqa", { ...ASKED[7][1], label: "0" }, 'found "0" as label, expected an answer from 1 to 3'],
  ["hellaswag", { ...ASKED[4][1], label: "" }, 'found "" as label, expected an answer from 0 to 1'],
  ["piqa", { goal: "a", sol1: "b", sol2: "c", label: [1] }, "found [1] as label"],
  ["hellaswag", { ...ASKED[4][1], endings: ["a"] }, 'found ["a"] as endings, expected at least 2 choices'],
  ["arc_easy", { question: "a", ...LETTERED, answerKey: "E" }, 'expected one of choices.label ["A","B"]'],
  ["winogrande", { sentence: "No gap.", option1: "a", option2: "b", answer: "1" }, 'expected a "_"'],
  [
    "winogrande",
    { sentence: "Gap at the end _ ", option1: "a", option2: "b", answer: "1" },
    'expected a "_"',
  ],
  [
    "boolq",
    { question: "a", choices: ["yes", "no"], label: 0 },
    'expected ["no", "yes"] or ["false", "true"]',
  ],
  ["arc_easy", { question: "a", choices: ["x", ""], label: 0 }, "expected at least 2 choices, each a text"],
];
for (const [task, row, says] of WRONG) {
  Deno.test(`askHarness() refuses a row of ${task}: ${says.slice(0, 50)}`, () => {
    assertThrows(() => askHarness(task, row), RangeError, says);
  });
}
