/**
 * What a model gets right of the tasks of lm-evaluation-harness, item by item, into data/results/tasks-smollm2.jsonl:
 * `deno run -A data/make/tasks.ts MODEL FOLDER N`, with N items of each file of FOLDER, rows of question, choices and label.
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

const RESULTS = decodeURIComponent(new URL("../results/", import.meta.url).pathname);
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
const WITHOUT_NORM: readonly HarnessTask[] = ["boolq", "social_iqa", "winogrande"];

const [path, folder, count] = Deno.args;
const limit = Number(count);
using gpu = await openDevice();
using model = await loadModel(path, { gpu });
const about = {
  command: `deno run -A data/make/tasks.ts MODEL FOLDER ${limit}`,
  device: gpu.info.name,
  date: new Date().toISOString().slice(0, 10),
  version: VERSION,
  model: path.split("/").at(-1),
};
const digits = (found: readonly boolean[]) => found.map(Number).join("");
const lines: string[] = [];
for (const [task, name] of Object.entries(FILES) as [HarnessTask, string][]) {
  const file = `${folder}/${name}.jsonl`;
  const text = (await Deno.readTextFile(file)).split("\n").slice(0, limit).join("\n");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const items = await loadMultipleChoice(file, model.tokenizer!, { task, limit });
  const nats = await choiceLogLikelihoods(model, items, {
    onProgress: (done) => console.error(`${task} ${done} of ${items.length}`),
  });
  const right = (lengths: (item: typeof items[number]) => readonly number[] | undefined) =>
    digits(items.map((item, i) => bestChoice(nats[i], lengths(item)) === item.answer));
  const places = items.map(({ answer }) => answer);
  const same = places.map((place) => places.filter((other) => other === place).length);
  lines.push(JSON.stringify({
    ...about,
    task,
    items: items.length,
    sha256: new Uint8Array(digest).toHex(),
    chance: items.reduce((sum, { choices }) => sum + 1 / choices.length, 0) / items.length,
    sameAnswer: Math.max(...same) / items.length,
    acc: right(() => undefined),
    ...(!WITHOUT_NORM.includes(task) && { acc_norm: right(({ characters }) => characters) }),
  }));
  console.log(lines.at(-1));
}
await writeFileAtomic(`${RESULTS}tasks-smollm2.jsonl`, lines.join("\n") + "\n");
