import { loadAdapter } from "../adapters/save.ts";
import { HARNESS_TASKS, type HarnessTask } from "../datasets/harness_tasks.ts";
import { loadMultipleChoice } from "../datasets/multiple_choice.ts";
import { textTable } from "../display/table.ts";
import { resolveModel } from "../io/model_folder.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { type ChoiceScore, multipleChoice } from "../train/evaluate.ts";
import { checkAdapter } from "./adapter_folder.ts";
import type { Arguments } from "./args.ts";
import { checkInputs, type Command, MODEL_HELP, openGpu, progressBar } from "./command.ts";

/** `olora tasks`: multiple choice by log-likelihood. */
export const tasks: Command = {
  summary: "multiple choice by log-likelihood",
  usage: "--model M [--adapter DIR] --tasks a,b [--limit N] [--shots N [--shots-from a,b] [--seed S]]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    tasks: {
      type: "text",
      value: "a,b",
      help:
        "sets of the kit (tiny-piqa, tiny-facts, …), .jsonl or .parquet files of prompt, choices, answer, or TASK=FILE: " +
        `the file's rows, in the hub's fields, asked as lm-evaluation-harness asks ${
          HARNESS_TASKS.join(", ")
        }`,
    },
    limit: { type: "number", value: "N", help: "only the first items of each (default all)" },
    shots: {
      type: "number",
      value: "N",
      help: "questions with their answers before each question (default 0)",
    },
    "shots-from": {
      type: "text",
      value: "a,b",
      help: "files that shots are taken from, one for each of --tasks (default the tasks' own files)",
    },
    seed: {
      type: "number",
      value: "S",
      help: "draws the shots of each question at random (default the first rows of the file)",
    },
  },

  async run(args, output) {
    const limit = whole(args, "limit", 1);
    const [shots, seed] = [whole(args, "shots", 0), whole(args, "seed", 0)];
    const sources = await tasksOf(args.required("tasks"), args.text("shots-from"));
    const files = sources.flatMap(({ file, shotsFrom }) => [file, shotsFrom]);
    const folder = args.text("adapter");
    const read = await checkAdapter(folder, output);
    await checkInputs(args.required("model"), ...files);
    using gpu = await openGpu(output);
    using model = await loadModel(args.required("model"), { gpu });
    const { tokenizer } = model;
    if (!tokenizer) throw new TypeError(`Cannot score tasks: ${model.source.folder} has no tokenizer.json`);
    using _adapter = folder === undefined ? undefined : await loadAdapter(model, folder);
    const scores: Record<string, ChoiceScore> = {};
    const truncated: Record<string, number> = {};
    for (const { name, file, task, shotsFrom } of sources) {
      const items = await loadMultipleChoice(file, tokenizer, { task, shots, shotsFrom, seed, limit });
      if (!items.length) throw new RangeError(`Cannot score ${file}: found no items`);
      const long = items.filter(({ choices }) =>
        choices.some(({ ids }) => ids.length > limitOf(model))
      ).length;
      if (long) {
        truncated[name] = long;
        output.note(
          `${name}: ${long} of ${items.length} items are longer than ${
            limitOf(model)
          } tokens and lose their first`,
        );
      }
      const bar = progressBar();
      const onProgress = (done: number) =>
        bar.update({ done, total: items.length, label: name, unit: "item" });
      scores[name] = await multipleChoice(model, items, { onProgress });
      bar.finish();
    }
    output.say(textTable({
      columns: ["task", "accuracy", "per byte", "items", "±", "acc_norm", "±"],
      rows: Object.entries(scores).map(([name, score]) => [
        name,
        score.accuracy.toFixed(3),
        score.normalized.toFixed(3),
        score.items,
        error(score.standardErrors.accuracy),
        score.perCharacter.toFixed(3),
        error(score.standardErrors.perCharacter),
      ]),
      note:
        "±: standard errors of accuracy (lm-evaluation-harness' acc) and of acc_norm, which is per character",
    }));
    return { tasks: scores, truncated, ...read, device: gpu.info.name, software: gpu.info.isSoftware };
  },
};

/** Most tokens of a sequence: those the model reads, and the last, which it only predicts. */
function limitOf({ config: { context } }: Model): number {
  return context + 1;
}

function error(x: number): string | null {
  return Number.isNaN(x) ? null : x.toFixed(3);
}

interface TaskSource {
  readonly name: string;
  readonly file: string;
  readonly task?: HarnessTask;
  readonly shotsFrom?: string;
}

/** The tasks that `--tasks` names, each with its file of `--shots-from`. */
async function tasksOf(list: string, shotsFrom?: string): Promise<TaskSource[]> {
  const split = (text: string) => text.split(",").filter((name) => name !== "");
  const [names, from] = [split(list), shotsFrom === undefined ? undefined : split(shotsFrom)];
  if (from && from.length !== names.length) {
    throw new RangeError(
      `Cannot use --shots-from ${shotsFrom}: found ${from.length} files, expected one for each of ${names.length} tasks`,
    );
  }
  const kit = await resolveModel("tiny");
  const sources = names.map((given, i) => {
    const [, task, path] = given.match(/^(\w+)=(.+)$/) ?? [];
    if (task !== undefined && !HARNESS_TASKS.includes(task as HarnessTask)) {
      throw new RangeError(
        `Cannot ask ${given}: found task ${task}, expected one of ${HARNESS_TASKS.join(", ")}`,
      );
    }
    const isFile = path !== undefined || /\.(jsonl|parquet)$/.test(given);
    return {
      name: task ?? given,
      file: isFile ? path ?? given : `${kit}/tasks/${given}.jsonl`,
      ...(task !== undefined && { task: task as HarnessTask }),
      ...(from && { shotsFrom: from[i] }),
    };
  });
  for (const { name, file } of sources) {
    const other = sources.find((each) => each.name === name && each.file !== file);
    if (!other) continue;
    throw new RangeError(
      `Cannot score ${name} of ${file} and of ${other.file}: expected each task of one file`,
    );
  }
  return sources;
}

function whole(args: Arguments, name: string, least: number): number | undefined {
  const value = args.number(name);
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return value;
  throw new RangeError(`Cannot use --${name} ${value}: expected a whole number >= ${least}`);
}
