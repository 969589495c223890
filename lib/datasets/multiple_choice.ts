import { Rng } from "../core/rng.ts";
import { dataFileName, parseRows, resolveData } from "../io/data_file.ts";
import type { JsonObject } from "../io/json_file.ts";
import { parseJsonl } from "../io/jsonl.ts";
import { readParquet } from "../io/parquet.ts";
import type { Tokenizer } from "../io/tokenizer.ts";
import { encodeSpans, type TokenRow } from "./encode.ts";
import { type AskedQuestion, askHarness, type HarnessTask, isTexts } from "./harness_tasks.ts";

/** A question and its possible answers, each as the sequence that is scored. */
export interface MultipleChoiceItem {
  /** Which task the item belongs to. */
  readonly task: string;
  /** Index of the right choice. */
  readonly answer: number;
  /** The question followed by each choice; the tokens of the choice count. */
  readonly choices: readonly TokenRow[];
  /** Length of each choice in bytes of UTF-8, by which log-likelihoods may be divided. */
  readonly bytes: readonly number[];
  /** The same in characters, Unicode's code points. */
  readonly characters: readonly number[];
}

/** How rows become questions. */
export interface MultipleChoiceOptions {
  /** Asks the rows as lm-evaluation-harness asks those of this task; default: as the rows say. */
  readonly task?: HarnessTask;
  /** Questions with their right answers before each question, a blank line after each; default 0. */
  readonly shots?: number;
  /** File that shots are taken from; default: the questions' own, each question left out of its own shots. */
  readonly shotsFrom?: string;
  /** Draws the shots of each question at random; default: the first ones of their file. */
  readonly seed?: number;
  /** Only the first questions. */
  readonly limit?: number;
}

/** A row and where it stands, for errors. */
interface PlacedRow {
  readonly where: string;
  readonly value: unknown;
}

/**
 * Loads multiple-choice items from JSON lines or from a parquet file (by its ending), in the forms of
 * {@linkcode parseMultipleChoice} or of a task of lm-evaluation-harness. The file may be on the hub, and a part of its rows,
 * as {@linkcode loadDataset} takes them.
 *
 * A token that reaches over the border of context and choice counts ({@linkcode encodeSpans}); the harness counts from as many
 * tokens on as the context has by itself, which is the same where a space begins a token.
 *
 * @throws {SyntaxError} If a row is malformed; the message names its line.
 * @throws {RangeError} If there are fewer rows than shots.
 */
export async function loadMultipleChoice(
  path: string,
  tokenizer: Pick<Tokenizer, "encode">,
  options: MultipleChoiceOptions = {},
): Promise<MultipleChoiceItem[]> {
  const { questions, pool } = await loadQuestions(path, options);
  return itemsOf(questions, pool, path, tokenizer, options);
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
  options: Omit<MultipleChoiceOptions, "shotsFrom"> = {},
): MultipleChoiceItem[] {
  const questions = askAll(placed(text, name), options.task);
  return itemsOf(questions, questions, name, tokenizer, options);
}

/**
 * The texts of the items that {@linkcode loadMultipleChoice} gives: context and continuation of each choice, shots included.
 */
export async function loadPrompts(
  path: string,
  options: MultipleChoiceOptions = {},
): Promise<AskedQuestion[]> {
  const { questions, pool } = await loadQuestions(path, options);
  return withShots(questions, pool, path, options);
}

/**
 * Index of the choice of largest log-likelihood; with `lengths`, of largest log-likelihood per byte or character.
 *
 * @param logLikelihoods Natural logarithm of the probability of each choice, all its tokens together.
 */
export function bestChoice(logLikelihoods: readonly number[], lengths?: readonly number[]): number {
  const scores = logLikelihoods.map((score, i) => lengths ? score / Math.max(lengths[i], 1) : score);
  return scores.indexOf(Math.max(...scores));
}

async function loadQuestions(path: string, { task, shots = 0, shotsFrom = path }: MultipleChoiceOptions) {
  const questions = askAll(await readRows(path), task);
  const pool = shots === 0 || shotsFrom === path ? questions : askAll(await readRows(shotsFrom), task);
  return { questions, pool };
}

async function readRows(spec: string): Promise<PlacedRow[]> {
  const [{ file, from, to }, path] = [parseRows(spec), await resolveData(spec)];
  const rows = path.endsWith(".parquet")
    ? (await readParquet(path)).map((value, i) => ({ where: `${file} row ${i + 1}`, value }))
    : placed(await Deno.readTextFile(path), file);
  return rows.slice(from, to);
}

function placed(text: string, name: string): PlacedRow[] {
  return parseJsonl(text, name).map(({ line, value }) => ({ where: `${name} line ${line}`, value }));
}

interface NamedQuestion extends AskedQuestion {
  readonly task?: string;
}

function askAll(rows: readonly PlacedRow[], task: HarnessTask | undefined): NamedQuestion[] {
  return rows.map(({ where, value }) => {
    const row = (value ?? {}) as JsonObject;
    try {
      return task === undefined ? asWritten(row) : { task, ...askHarness(task, row) };
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new SyntaxError(`Cannot read ${where}: ${cause.message}`, { cause });
    }
  });
}

/** A row that says itself how it is asked. */
function asWritten(row: JsonObject): NamedQuestion {
  const wrong = (found: unknown, expected: string) =>
    new RangeError(`found ${JSON.stringify(found)}, expected ${expected}`);
  const answer = row.answer ?? row.label;
  const { prompt, question, choices, task } = row;
  if (typeof prompt !== "string" && typeof question !== "string") throw wrong(row, "a prompt or a question");
  if (!isTexts(choices) || choices.length < 2) throw wrong(choices, "at least 2 choices, each a text");
  if (!Number.isSafeInteger(answer) || (answer as number) < 0 || (answer as number) >= choices.length) {
    throw wrong(answer, `an answer from 0 to ${choices.length - 1}`);
  }
  const context = typeof prompt === "string" ? prompt : `Question: ${question}\nAnswer:`;
  return {
    ...(typeof task === "string" && { task }),
    contexts: choices.map(() => context),
    continuations: choices.map((choice) => (/\s$/.test(context) || /^\s/.test(choice) ? "" : " ") + choice),
    choices,
    answer: answer as number,
  };
}

function itemsOf(
  questions: readonly NamedQuestion[],
  pool: readonly AskedQuestion[],
  name: string,
  tokenizer: Pick<Tokenizer, "encode">,
  options: MultipleChoiceOptions,
): MultipleChoiceItem[] {
  const fileName = dataFileName(name).replace(/\.(jsonl|parquet)$/, "");
  return withShots(questions, pool, name, options).map((question) => ({
    task: question.task ?? fileName,
    answer: question.answer,
    choices: question.contexts.map((context, i) => {
      const whole = context + question.continuations[i];
      return encodeSpans(tokenizer, whole, [[context.length, whole.length]]);
    }),
    bytes: question.choices.map((choice) => new TextEncoder().encode(choice).length),
    characters: question.choices.map((choice) => [...choice].length),
  }));
}

/** Puts shots before the contexts. */
function withShots(
  questions: readonly NamedQuestion[],
  pool: readonly AskedQuestion[],
  name: string,
  { shots = 0, shotsFrom = name, seed, limit }: MultipleChoiceOptions,
): NamedQuestion[] {
  const spare = pool === questions ? 1 : 0;
  if (!(Number.isSafeInteger(shots) && shots >= 0)) {
    throw new RangeError(`Cannot use ${shots} shots: expected a whole number >= 0`);
  }
  if (shots > 0 && pool.length < shots + spare) {
    throw new RangeError(
      `Cannot take ${shots} shots from ${shotsFrom}: found ${pool.length} rows, expected at least ${
        shots + spare
      }` +
        (spare ? ", as a question is not among its own shots" : ""),
    );
  }
  return questions.slice(0, limit).map((question, place) => {
    const chosen = new Set<AskedQuestion>();
    const rng = seed === undefined ? undefined : new Rng(seed, `shots of question ${place}`);
    for (let next = 0; chosen.size < shots; next++) {
      const shot = pool[rng ? rng.below(pool.length) : next];
      if (shot !== question) chosen.add(shot);
    }
    const before = [...chosen].map(({ contexts, continuations, answer }) =>
      `${contexts[answer]}${continuations[answer]}\n\n`
    ).join("");
    return { ...question, contexts: question.contexts.map((context) => before + context) };
  });
}
