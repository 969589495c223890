/**
 * What a model gets right of the tasks of lm-evaluation-harness, item by item, into data/results/tasks-smollm2.jsonl:
 * `deno run -A data/make/tasks.ts MODEL FOLDER N`, with the first N items of each file of FOLDER, rows of question, choices and
 * label. Stopped at any moment, it goes on where it was.
 *
 * @module
 */
import {
  choiceLogLikelihoods,
  type HarnessTask,
  loadModel,
  loadMultipleChoice,
  openDevice,
} from "../../mod.ts";
import { VERSION } from "../../lib/core/version.ts";
import { bestChoice } from "../../lib/datasets/multiple_choice.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";
import { readTextIfAny } from "../../lib/io/json_file.ts";

const RESULTS = decodeURIComponent(new URL("../results/tasks-smollm2.jsonl", import.meta.url).pathname);
const FILES: Record<HarnessTask, string> = {
  arc_challenge: "ARC-Challenge",
  arc_easy: "ARC-Easy",
  boolq: "boolq",
  hellaswag: "hellaswag",
  openbookqa: "openbookqa",
  piqa: "piqa",
  social_iqa: "social_i_qa",
  winogrande: "winogrande",
};

/** Tasks for which the harness gives no acc_norm. */
const WITHOUT_NORM: readonly string[] = ["boolq", "social_iqa", "winogrande"] satisfies HarnessTask[];

/** Items of a task between two writes. */
const ROUND = 10;

const [path, folder, count] = Deno.args;
const limit = Number(count);
using gpu = await openDevice();
using model = await loadModel(path, { gpu });
const about = { device: gpu.info.name, version: VERSION, model: path.split("/").at(-1) };

/** Of each task its digits so far, 1 for each item that is right. */
const found = new Map(Object.keys(FILES).map((task) => [task, { acc: "", acc_norm: "" }]));
for (const line of (await readTextIfAny(RESULTS) ?? "").split("\n").filter((line) => line !== "")) {
  const { task, acc, acc_norm = "", ...row } = JSON.parse(line);
  const isSame = Object.entries(about).every(([name, value]) => row[name] === value);
  if (isSame) found.set(task, { acc: acc.slice(0, limit), acc_norm: acc_norm.slice(0, limit) });
}

const tasks = await Promise.all(
  Object.entries(FILES).map(async ([task, name]) => {
    const file = `${folder}/${name}.jsonl`;
    const items = await loadMultipleChoice(file, model.tokenizer!, { task: task as HarnessTask, limit });
    return { task, items, lines: (await Deno.readTextFile(file)).split("\n") };
  }),
);

for (let to = ROUND; to < limit + ROUND; to += ROUND) {
  for (const { task, items } of tasks) {
    const { acc, acc_norm } = found.get(task)!;
    const next = items.slice(acc.length, to);
    if (!next.length) continue;
    const nats = await choiceLogLikelihoods(model, next);
    const right = (lengths: (item: typeof next[number]) => readonly number[] | undefined) =>
      next.map((item, i) => Number(bestChoice(nats[i], lengths(item)) === item.answer)).join("");
    found.set(task, {
      acc: acc + right(() => undefined),
      acc_norm: acc_norm + (WITHOUT_NORM.includes(task) ? "" : right(({ characters }) => characters)),
    });
    console.error(`${task}: ${found.get(task)!.acc.length} of ${limit}`);
    await write();
  }
}
await write();

async function write(): Promise<void> {
  const rows = await Promise.all(tasks.map(async ({ task, items, lines }) => {
    const { acc, acc_norm } = found.get(task)!;
    const done = items.slice(0, acc.length);
    const asked = new TextEncoder().encode(lines.slice(0, acc.length).join("\n"));
    const same = done.map(({ answer }) => done.filter((other) => other.answer === answer).length);
    return {
      command: `deno run -A data/make/tasks.ts MODEL FOLDER ${limit}`,
      date: new Date().toISOString().slice(0, 10),
      ...about,
      task,
      items: acc.length,
      sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", asked)).toHex(),
      chance: done.reduce((sum, { choices }) => sum + 1 / choices.length, 0) / acc.length,
      sameAnswer: Math.max(...same) / acc.length,
      acc,
      ...(acc_norm !== "" && { acc_norm }),
    };
  }));
  await writeFileAtomic(RESULTS, rows.map((row) => JSON.stringify(row)).join("\n") + "\n");
}
