import { parseJsonl } from "../io/jsonl.ts";
import type { Tokenizer } from "../io/tokenizer.ts";
import { encodeSpans, type TokenRow } from "./encode.ts";

/** A question and its possible answers, each as the sequence that is scored. */
export interface MultipleChoiceItem {
  /** Which task the item belongs to. */
  readonly task: string;
  /** Index of the right choice. */
  readonly answer: number;
  /** The question followed by each choice; the tokens of the choice count. */
  readonly choices: readonly TokenRow[];
  /** Length of each choice in bytes, by which log-likelihoods may be divided. */
  readonly bytes: readonly number[];
}

/**
 * Loads multiple-choice items from JSON lines ({@linkcode parseMultipleChoice}).
 *
 * @throws {SyntaxError} If a row is malformed; the message names its line.
 */
export async function loadMultipleChoice(
  path: string,
  tokenizer: Pick<Tokenizer, "encode">,
): Promise<MultipleChoiceItem[]> {
  return parseMultipleChoice(await Deno.readTextFile(path), path, tokenizer);
}

/**
 * Multiple-choice items from rows `{"prompt" or "question", "choices": [...], "answer": index, "task"}`
 * (`label` is read as `answer`; without `task` the file's name is the task's).
 *
 * A prompt stands as it is before each choice; a question is asked as `Question: …\nAnswer:`, the form of EleutherAI's
 * lm-evaluation-harness. One space is put between where neither side has white space.
 *
 * @throws {SyntaxError} If a row is malformed; the message names its line.
 */
export function parseMultipleChoice(
  text: string,
  name: string,
  tokenizer: Pick<Tokenizer, "encode">,
): MultipleChoiceItem[] {
  const task = name.replace(/^.*[/\\]/, "").replace(/\.jsonl$/, "");
  return parseJsonl(text, name).map(({ line, value }) => {
    const row = (value ?? {}) as Record<string, unknown>;
    const wrong = (found: unknown, expected: string) =>
      new SyntaxError(
        `Cannot read ${name} line ${line}: found ${JSON.stringify(found)}, expected ${expected}`,
      );
    const answer = row.answer ?? row.label;
    const { prompt, question, choices } = row;
    if (typeof prompt !== "string" && typeof question !== "string") {
      throw wrong(value, "a prompt or a question");
    }
    if (!isTexts(choices) || choices.length < 2) throw wrong(choices, "at least 2 choices, each a text");
    if (!Number.isSafeInteger(answer) || (answer as number) < 0 || (answer as number) >= choices.length) {
      throw wrong(answer, `an answer from 0 to ${choices.length - 1}`);
    }
    const context = typeof prompt === "string" ? prompt : `Question: ${question}\nAnswer:`;
    return {
      task: typeof row.task === "string" ? row.task : task,
      answer: answer as number,
      choices: choices.map((choice) => {
        const whole = context + (/\s$/.test(context) || /^\s/.test(choice) ? "" : " ") + choice;
        return encodeSpans(tokenizer, whole, [[context.length, whole.length]]);
      }),
      bytes: choices.map((choice) => new TextEncoder().encode(choice).length),
    };
  });
}

/**
 * Index of the choice of largest log-likelihood; with `bytes`, of largest log-likelihood per byte.
 *
 * @param logLikelihoods Natural logarithm of the probability of each choice, all its tokens together.
 */
export function bestChoice(logLikelihoods: readonly number[], bytes?: readonly number[]): number {
  const scores = logLikelihoods.map((score, i) => bytes ? score / Math.max(bytes[i], 1) : score);
  return scores.indexOf(Math.max(...scores));
}

function isTexts(x: unknown): x is string[] {
  return Array.isArray(x) && x.every((text) => typeof text === "string" && text !== "");
}
