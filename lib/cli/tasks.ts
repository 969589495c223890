import { loadAdapter } from "../adapters/save.ts";
import { loadMultipleChoice } from "../datasets/multiple_choice.ts";
import { textTable } from "../display/table.ts";
import { resolveModel } from "../io/model_folder.ts";
import { loadModel } from "../nn/model.ts";
import { type ChoiceScore, multipleChoice } from "../train/evaluate.ts";
import { checkInputs, type Command, MODEL_HELP, openGpu } from "./command.ts";

/** `olora tasks`: multiple choice by log-likelihood. */
export const tasks: Command = {
  summary: "multiple choice by log-likelihood",
  usage: "--model M [--adapter DIR] --tasks a,b [--limit N]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    tasks: {
      type: "text",
      value: "a,b",
      help: "sets of the kit (tiny-piqa, tiny-facts, …) or .jsonl files of prompt, choices, answer",
    },
    limit: { type: "number", value: "N", help: "only the first items of each (default all)" },
  },

  async run(args, output) {
    const names = args.required("tasks").split(",").filter((name) => name !== "");
    const limit = args.number("limit");
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1)) {
      throw new RangeError(`Cannot use --limit ${limit}: expected a whole number >= 1`);
    }
    const kit = await resolveModel("tiny");
    const files = names.map((name) => name.endsWith(".jsonl") ? name : `${kit}/tasks/${name}.jsonl`);
    await checkInputs(args.required("model"), args.text("adapter"), ...files);
    using gpu = await openGpu(output);
    using model = await loadModel(args.required("model"), { gpu });
    const { tokenizer } = model;
    if (!tokenizer) throw new TypeError(`Cannot score tasks: ${model.source.folder} has no tokenizer.json`);
    const folder = args.text("adapter");
    using _adapter = folder === undefined ? undefined : await loadAdapter(model, folder);
    const scores: Record<string, ChoiceScore> = {};
    for (const [i, name] of names.entries()) {
      const items = await loadMultipleChoice(files[i], tokenizer);
      if (!items.length) throw new RangeError(`Cannot score ${files[i]}: found no items`);
      scores[name] = await multipleChoice(model, items.slice(0, limit));
    }
    output.say(textTable({
      columns: ["task", "accuracy", "per byte", "items"],
      rows: Object.entries(scores).map(([name, { accuracy, normalized, items }]) => [
        name,
        accuracy.toFixed(3),
        normalized.toFixed(3),
        items,
      ]),
    }));
    return { tasks: scores, device: gpu.info.name, software: gpu.info.isSoftware };
  },
};
