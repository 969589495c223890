import { loadAdapter } from "../adapters/save.ts";
import { parseIds } from "../datasets/load.ts";
import { encodeLong } from "../datasets/encode.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { score } from "../nn/score.ts";
import { checkAdapter } from "./adapter_folder.ts";
import type { Arguments } from "./args.ts";
import { checkInputs, type Command, MODEL_HELP, openGpu } from "./command.ts";

/** `olora eval`: nats of each token of a text or of rows of ids. */
export const evaluate: Command = {
  summary: "nats of each token of a text or of rows of token ids",
  usage: "--model M [--adapter DIR] (--text FILE | --ids FILE)",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    text: { type: "text", value: "FILE", help: "a text, scored in windows of the model's context" },
    ids: { type: "text", value: "FILE", help: "[[ids], …], one row scored by itself" },
  },

  async run(args, output) {
    const rowsOf = source(args);
    const folder = args.text("adapter");
    const read = await checkAdapter(folder, output);
    await checkInputs(args.required("model"), args.text("text") ?? args.text("ids"));
    using gpu = await openGpu(output);
    using model = await loadModel(args.required("model"), { gpu });
    using _adapter = folder === undefined ? undefined : await loadAdapter(model, folder);
    const nll = await score(model, await rowsOf(model));
    const tokens = nll.reduce((sum, row) => sum + row.length, 0);
    if (tokens === 0) {
      throw new RangeError("Cannot score: found no token to predict, expected a row of at least two");
    }
    const mean = nll.reduce((sum, row) => row.reduce((sum, nats) => sum + nats, sum), 0) / tokens;
    output.say(`${mean.toFixed(6)} nats a token, perplexity ${Math.exp(mean).toFixed(4)}, ${tokens} tokens`);
    return {
      nll: nll.map((row) => [...row]),
      mean,
      perplexity: Math.exp(mean),
      tokens,
      ...read,
      device: gpu.info.name,
      software: gpu.info.isSoftware,
    };
  },
};

/** What to score, as rows of ids once the model is known. */
function source(args: Arguments): (model: Model) => Promise<number[][]> {
  const [text, ids] = [args.text("text"), args.text("ids")];
  if ((text === undefined) === (ids === undefined)) {
    throw new RangeError("Cannot score: expected either --text or --ids");
  }
  if (ids !== undefined) {
    return async (model) => {
      const rows = parseIds(await Deno.readTextFile(ids), ids, model.config.vocabularySize);
      const long = rows.findIndex((row) => row.ids.length > model.config.context + 1);
      if (long < 0) return rows.map((row) => [...row.ids]);
      throw new RangeError(
        `Cannot score ${ids} row ${long + 1}: found ${rows[long].ids.length} ids, expected at most ${
          model.config.context + 1
        }`,
      );
    };
  }
  return async (model) => {
    const content = await Deno.readTextFile(text!);
    if (!model.tokenizer) {
      throw new TypeError(`Cannot read ${text}: ${model.source.folder} has no tokenizer.json`);
    }
    return windows(encodeLong(model.tokenizer, content), model.config.context);
  };
}

/** Rows of `context` predictions, each beginning with the last token of the row before, so each token is scored once. */
export function windows(ids: readonly number[], context: number): number[][] {
  const rows: number[][] = [];
  for (let at = 0; at + 1 < ids.length; at += context) rows.push(ids.slice(at, at + context + 1));
  return rows;
}
