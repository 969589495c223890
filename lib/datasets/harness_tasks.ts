import type { JsonObject } from "../io/json_file.ts";

/** Multiple-choice tasks by their names in EleutherAI's lm-evaluation-harness. */
export type HarnessTask =
  | "arc_challenge"
  | "arc_easy"
  | "boolq"
  | "hellaswag"
  | "openbookqa"
  | "piqa"
  | "social_iqa"
  | "winogrande";

/** A question as it is put to a model; what is scored of choice i is `continuations[i]` after `contexts[i]`. */
export interface AskedQuestion {
  /** The text before each choice. */
  readonly contexts: readonly string[];
  /** What counts in the log-likelihood of each choice, the space before it included. */
  readonly continuations: readonly string[];
  /** What each choice says, whose length log-likelihoods may be divided by. */
  readonly choices: readonly string[];
  /** Index of the right choice. */
  readonly answer: number;
}

/** What a row says, whatever its fields. */
interface Parts {
  readonly question: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

interface TaskForm {
  /** The fields of a row on the hub. */
  readonly fields: string;
  /** A row on the hub. */
  read(row: Fields): Parts;
  /** What a row of question, choices and answer becomes first; by default itself. */
  plain?(parts: Parts): Parts;
  /** The text before every choice; `CLOZE` where the choice stands inside. */
  readonly prompt: ((question: string) => string) | typeof CLOZE;
}

const CLOZE = "_";

const questionAnswer = (question: string) => `Question: ${question}\nAnswer:`;
const itself = (question: string) => question;

/**
 * How each task is asked.
 *
 * Source: the task files of lm_eval 0.4.13; the words of the prompts are theirs to the letter, since scores depend on them.
 */
const TASKS: Readonly<Record<HarnessTask, TaskForm>> = {
  arc_challenge: {
    fields: "question, choices {text, label}, answerKey",
    read: (row) => row.lettered("question"),
    prompt: questionAnswer,
  },
  arc_easy: {
    fields: "question, choices {text, label}, answerKey",
    read: (row) => row.lettered("question"),
    prompt: questionAnswer,
  },
  boolq: {
    fields: "passage, question, label or answer (0 and false: no)",
    read: (row) => ({
      question: `${row.text("passage")}\nQuestion: ${row.text("question")}?`,
      choices: NO_YES,
      answer: row.index(row.has("label") ? "label" : "answer", 2),
    }),
    plain({ question, choices, answer }) {
      const words = choices.join();
      if (words !== "no,yes" && words !== "false,true") {
        throw new RangeError(
          `found choices ${JSON.stringify(choices)}, expected ["no", "yes"] or ["false", "true"]`,
        );
      }
      return { question: `Question: ${question}`, choices: NO_YES, answer };
    },
    prompt: (question) => `${question}\nAnswer:`,
  },
  hellaswag: {
    fields: "activity_label, ctx_a, ctx_b, endings, label",
    read: (row) => {
      const choices = row.texts("endings").map(withoutMarks);
      const begun = `${row.text("activity_label")}: ${row.text("ctx_a")} ${capitalized(row.text("ctx_b"))}`;
      return { question: withoutMarks(begun), choices, answer: row.index("label", choices.length) };
    },
    plain: ({ question, choices, answer }) => ({
      question: withoutMarks(question),
      choices: choices.map(withoutMarks),
      answer,
    }),
    prompt: itself,
  },
  openbookqa: {
    fields: "question_stem, choices {text, label}, answerKey",
    read: (row) => row.lettered("question_stem"),
    prompt: itself,
  },
  piqa: {
    fields: "goal, sol1, sol2, label",
    read: (row) => ({
      question: row.text("goal"),
      choices: [row.text("sol1"), row.text("sol2")],
      answer: row.index("label", 2),
    }),
    prompt: questionAnswer,
  },
  social_iqa: {
    fields: "context, question, answerA, answerB, answerC, label (from 1)",
    read: (row) => ({
      question: `${row.text("context")} ${row.text("question")}`,
      choices: [row.text("answerA"), row.text("answerB"), row.text("answerC")],
      answer: row.index("label", 3, 1),
    }),
    prompt: (question) => `Q: ${question}\nA:`,
  },
  winogrande: {
    fields: "sentence, option1, option2, answer (from 1)",
    read: (row) => ({
      question: row.text("sentence"),
      choices: [row.text("option1"), row.text("option2")],
      answer: row.index("answer", 2, 1),
    }),
    prompt: CLOZE,
  },
};

const NO_YES = ["no", "yes"];

/** Names of the tasks. */
export const HARNESS_TASKS = Object.keys(TASKS) as readonly HarnessTask[];

/**
 * A row as `task` asks it. The row has the fields of the task's dataset on the Hugging Face hub, or question, choices (a list
 * of texts) and label or answer (an index); then BoolQ is asked without a passage.
 *
 * After each context comes one space and the choice. WinoGrande fills each option in and scores what follows (Trinh and Le
 * 2018, arXiv:1806.02847, §3); its choices have one length then, as what is scored is the same.
 *
 * @throws {RangeError} If the row lacks a field or has a wrong one; the message begins with "found".
 */
export function askHarness(task: HarnessTask, row: JsonObject): AskedQuestion {
  const { fields, read, plain = (parts: Parts) => parts, prompt } = TASKS[task];
  const named = new Fields(row, fields);
  const { question, choices, answer } = Array.isArray(row.choices) ? plain(named.plain()) : read(named);
  if (prompt !== CLOZE) {
    const context = prompt(question);
    return { ...cut(choices.map((choice) => [context, ` ${choice}`])), choices, answer };
  }
  const gap = question.indexOf(CLOZE);
  const rest = question.slice(gap + 1).trim();
  if (gap < 0 || rest === "") {
    throw new RangeError(
      `found ${JSON.stringify(question)}, expected a "_" for the choices and words behind it`,
    );
  }
  const filled = choices.map((choice) => [question.slice(0, gap) + choice, ` ${rest}`] as const);
  return { ...cut(filled), choices: choices.map(() => rest), answer };
}

/** Contexts and continuations; white space at a context's end is scored with the choice. */
function cut(pairs: readonly (readonly [string, string])[]) {
  const contexts = pairs.map(([context]) => context.trimEnd());
  return {
    contexts,
    continuations: pairs.map(([context, choice], i) => context.slice(contexts[i].length) + choice),
  };
}

/** Fields of a row by name and type. */
class Fields {
  readonly #row: JsonObject;
  readonly #expected: string;

  constructor(row: JsonObject, expected: string) {
    [this.#row, this.#expected] = [row, expected];
  }

  has(name: string): boolean {
    return (this.#row[name] ?? undefined) !== undefined;
  }

  text(name: string): string {
    const value = this.#row[name];
    return typeof value === "string" ? value : this.#refuse(name, value, "a text");
  }

  texts(name: string, value = this.#row[name]): readonly string[] {
    return isTexts(value) && value.length >= 2
      ? value
      : this.#refuse(name, value, "at least 2 choices, each a text");
  }

  /** A number from `first` on below `first + count`, also as text or truth value, as an index from 0. */
  index(name: string, count: number, first = 0): number {
    const value = this.#row[name];
    const isWritten = typeof value === "boolean" || (typeof value === "string" && /^\d+$/.test(value));
    const place = (isWritten ? Number(value) : value as number) - first;
    if (
      (isWritten || typeof value === "number") && Number.isSafeInteger(place) && place >= 0 && place < count
    ) {
      return place;
    }
    return this.#refuse(name, value, `an answer from ${first} to ${first + count - 1}`);
  }

  /** A row whose choices carry letters or numbers by which the answer is named. */
  lettered(question: string): Parts {
    const { text, label } = (this.#row.choices ?? {}) as JsonObject;
    const choices = this.texts("choices.text", text);
    const key = this.text("answerKey").trim();
    const answer = Array.isArray(label) ? label.indexOf(key) : -1;
    if (answer < 0 || answer >= choices.length) {
      this.#refuse("answerKey", key, `one of choices.label ${JSON.stringify(label)}`);
    }
    return { question: this.text(question), choices, answer };
  }

  plain(): Parts {
    const choices = this.texts("choices");
    const answer = this.index(this.has("answer") ? "answer" : "label", choices.length);
    return { question: this.text("question"), choices, answer };
  }

  #refuse(name: string, found: unknown, expected: string): never {
    throw new RangeError(
      `found ${
        JSON.stringify(found) ?? "nothing"
      } as ${name}, expected ${expected} (rows have ${this.#expected}; or ` +
        "question, choices, label)",
    );
  }
}

/** Whether `x` is a list of texts none of which is empty. */
export function isTexts(x: unknown): x is readonly string[] {
  return Array.isArray(x) && x.every((text) => typeof text === "string" && text !== "");
}

/** A context or ending of HellaSwag without the marks that WikiHow's pages left in it. */
function withoutMarks(text: string): string {
  return text.trim().replaceAll(" [title]", ". ").replace(/\[[^\n]*?\]/g, "").replaceAll("  ", " ");
}

/** The first letter large and all others small, as Python's `capitalize`. */
function capitalized(text: string): string {
  const [first = "", ...rest] = text;
  return first.toUpperCase() + rest.join("").toLowerCase();
}
