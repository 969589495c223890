/**
 * Multiple choice as lm-evaluation-harness (`make/lm_eval_tasks.py`) has it: prompts and figures of all items, log-likelihoods
 * of SmolLM2-135M for the first ones of each task, or with OLORA_LM_EVAL_ITEMS=100 for all.
 */
import { assert, assertEquals } from "@std/assert";
import type { AskedQuestion, HarnessTask } from "../../lib/datasets/harness_tasks.ts";
import {
  bestChoice,
  loadMultipleChoice,
  loadPrompts,
  type MultipleChoiceItem,
} from "../../lib/datasets/multiple_choice.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { choiceLogLikelihoods, choiceScore } from "../../lib/train/evaluate.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { readFixture } from "../helpers/fixtures.ts";
import { smollm2 } from "../helpers/smollm2.ts";
import { referenceData } from "../helpers/requires.ts";

interface Entry {
  /** Name of the file of rows. */
  file: string;
  /** sha256 of its first lines: the items' and then the shots'. */
  rows: string;
  /** Of each item the first 8 digits of the sha256 of context, NUL, continuation, NUL of each choice. */
  prompts: string[];
  /** What lm_eval prints. */
  figures?: { acc: number; acc_stderr: number; acc_norm?: number; acc_norm_stderr?: number };
  logLikelihoods?: number[][];
}

const fixture = await readFixture<Record<HarnessTask, Record<string, Entry>>>("lm_eval.json.gz");
const ENTRIES = (Object.keys(fixture) as HarnessTask[]).flatMap((task) =>
  Object.entries(fixture[task]).map(([shots, entry]) => ({ task, shots: Number(shots), ...entry }))
);
const SCORED = ENTRIES.filter(({ logLikelihoods }) => logLikelihoods);
const [ITEMS, MOST_SHOTS] = [100, 3];

/** The project's promise: nats of a choice, and how far apart two have to be for their order to be the same. */
const [NATS, APART] = [1e-2, 2e-2];

const rows = referenceData("evaltasks");
const { path: model, ignore: noModel } = await smollm2();
const scoredItems = Number(Deno.env.get("OLORA_LM_EVAL_ITEMS") ?? 10);

async function sha256(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}

/** The rows of an entry as two files: its items, and the rows behind them for shots. */
async function withFiles<T>(
  { file, rows: digest }: Entry,
  body: (items: string, shots: string) => Promise<T>,
) {
  const lines = (await Deno.readTextFile(`${rows.path}/${file}`)).split("\n").slice(0, ITEMS + MOST_SHOTS);
  assertEquals(
    await sha256(lines.join("\n")),
    digest,
    `${file} is not the file that the fixture was made from`,
  );
  const folder = await Deno.makeTempDir();
  try {
    const paths = [lines.slice(0, ITEMS), lines.slice(ITEMS)].map(async (part, i) => {
      await Deno.writeTextFile(`${folder}/${i}.jsonl`, part.join("\n"));
      return `${folder}/${i}.jsonl`;
    });
    const [items, shots] = await Promise.all(paths);
    return await body(items, shots);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function digestOf({ contexts, continuations }: AskedQuestion): Promise<string> {
  return sha256(contexts.map((context, i) => `${context}\0${continuations[i]}\0`).join(""));
}

Deno.test({
  name:
    "loadPrompts() gives lm-evaluation-harness' contexts and continuations, each of 100 items of eight tasks",
  ignore: rows.ignore,
  async fn() {
    assertEquals([ENTRIES.length, Object.keys(fixture).length], [16, 8]);
    for (const entry of ENTRIES) {
      const { task, shots, prompts } = entry;
      const asked = await withFiles(
        entry,
        (items, shotsFrom) => loadPrompts(items, { task, shots, shotsFrom }),
      );
      const digests = await Promise.all(asked.map(async (each) => (await digestOf(each)).slice(0, 8)));
      assertEquals(digests, prompts, `${task}, ${shots} shots`);
    }
  },
});

Deno.test({
  name: "choiceScore() makes of lm-evaluation-harness' log-likelihoods its acc, acc_norm and standard errors",
  ignore: rows.ignore,
  async fn() {
    const tokenizer = { encode: (text: string) => [...new TextEncoder().encode(text)] };
    for (const entry of SCORED) {
      const { task, figures, logLikelihoods } = entry;
      const items = await withFiles(entry, (path) => loadMultipleChoice(path, tokenizer, { task }));
      const { accuracy, perCharacter, standardErrors } = choiceScore(items, logLikelihoods!);
      const found = {
        acc: accuracy,
        acc_stderr: standardErrors.accuracy,
        acc_norm: perCharacter,
        acc_norm_stderr: standardErrors.perCharacter,
      };
      for (const [name, value] of Object.entries(figures!)) {
        expectClose([found[name as keyof typeof found]], [value], 1e-9, `${name} of ${task}`);
      }
    }
  },
});

Deno.test({
  name: "choiceLogLikelihoods() gives lm-evaluation-harness' to 1e-2 on SmolLM2-135M, and its choices",
  ignore: rows.ignore || noModel,
  async fn() {
    using smol = await loadModel(model, { gpu: await testDevice() });
    const loaded = await Promise.all(SCORED.map(async (entry) => {
      const { task, shots } = entry;
      const options = { task, shots, limit: scoredItems };
      return await withFiles(
        entry,
        (path, shotsFrom) => loadMultipleChoice(path, smol.tokenizer!, { ...options, shotsFrom }),
      );
    }));
    const found = await choiceLogLikelihoods(smol, loaded.flat());
    for (const [i, { task, shots, logLikelihoods }] of SCORED.entries()) {
      const expected = logLikelihoods!.slice(0, scoredItems);
      const own = found.splice(0, expected.length);
      expectClose(own.flat(), expected.flat(), NATS, `${task}, ${shots} shots`);
      loaded[i].forEach((item, n) => compareChoices(item, own[n], expected[n], `${task} item ${n}`));
    }
  },
});

interface TaskRow {
  task: HarnessTask;
  items: number;
  sha256: string;
  chance: number;
  sameAnswer: number;
  acc: string;
  acc_norm?: string;
}

const results: TaskRow[] = (await Deno.readTextFile(
  new URL("../../data/results/tasks-smollm2.jsonl", import.meta.url),
)).trim().split("\n").map((line) => JSON.parse(line));

Deno.test("data/results/tasks-smollm2.jsonl: the shares that are right are what lm-evaluation-harness prints", () => {
  assertEquals(results.map(({ task }) => task).sort(), Object.keys(fixture).sort());
  for (const { task, items, acc, acc_norm } of results) {
    const { figures } = fixture[task][0];
    const share = (digits?: string) => digits && [...digits].filter((digit) => digit === "1").length / ITEMS;
    assertEquals([task, items, share(acc), share(acc_norm)], [task, ITEMS, figures!.acc, figures!.acc_norm]);
    assertEquals([acc.length, acc_norm?.length ?? ITEMS], [ITEMS, ITEMS], task);
  }
});

Deno.test({
  name: "data/results/tasks-smollm2.jsonl: the items that lm-evaluation-harness finds right, and no others",
  ignore: rows.ignore,
  async fn() {
    const tokenizer = { encode: (text: string) => [...new TextEncoder().encode(text)] };
    for (const { task, items: count, acc, acc_norm, ...row } of results) {
      const entry: Entry = fixture[task][0];
      const items = await withFiles(
        entry,
        (path) => loadMultipleChoice(path, tokenizer, { task, limit: count }),
      );
      const asked = (await Deno.readTextFile(`${rows.path}/${entry.file}`)).split("\n").slice(0, count);
      assertEquals([items.length, row.sha256], [count, await sha256(asked.join("\n"))], task);
      expectClose(
        [row.chance],
        [items.reduce((sum, { choices }) => sum + 1 / choices.length, 0) / count],
        1e-12,
        task,
      );
      const same = items.map(({ answer }) => items.filter((other) => other.answer === answer).length);
      assertEquals(row.sameAnswer, Math.max(...same) / count, task);
      items.forEach((item, i) => {
        const nats = entry.logLikelihoods![i];
        compareRight(acc[i], item, nats, nats.map(() => 1), `acc of ${task} item ${i}`);
        if (acc_norm) compareRight(acc_norm[i], item, nats, item.characters, `acc_norm of ${task} item ${i}`);
      });
    }
  },
});

/** A digit of the rows against the harness' choice, where that one is clear. */
function compareRight(
  digit: string,
  { answer }: MultipleChoiceItem,
  nats: readonly number[],
  lengths: readonly number[],
  where: string,
): void {
  const [first, second] = nats.map((x, i) => x / lengths[i]).sort((a, b) => b - a);
  if (first - second <= APART / Math.min(...lengths)) return;
  assertEquals([where, digit], [where, String(Number(bestChoice(nats, lengths) === answer))]);
}

function compareChoices(item: MultipleChoiceItem, own: number[], expected: number[], where: string): void {
  const [first, second] = [...expected].sort((a, b) => b - a);
  if (first - second > APART) assertEquals([where, bestChoice(own)], [where, bestChoice(expected)]);
  assert(item.choices.length === expected.length, where);
}
