import { loadAdapter } from "../adapters/save.ts";
import { renderChat } from "../io/chat_template.ts";
import { decodeStream } from "../io/tokenizer.ts";
import { generate as tokensOf } from "../nn/generate.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { checkAdapter } from "./adapter_folder.ts";
import type { Arguments } from "./args.ts";
import { checkInputs, type Command, MODEL_HELP, openGpu } from "./command.ts";

/** `olora generate`: continues a prompt, or answers in a conversation. */
export const generate: Command = {
  summary: "continue a prompt (printed with it) or answer in a chat",
  usage: "--model M [--adapter DIR] (--prompt P | --chat P) [options]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    prompt: {
      type: "text",
      value: "P",
      help: "text to continue; may be empty where the model has a begin token",
    },
    chat: { type: "text", value: "P", help: "what the user says, put into the model's chat template" },
    "max-new-tokens": { type: "number", value: "N", help: "most tokens to add (default 128)" },
    temperature: { type: "number", value: "X", help: "0 takes the likeliest token (default 0)" },
    "top-k": { type: "number", value: "N", help: "only the likeliest tokens; 0 for all (default 0)" },
    "top-p": { type: "number", value: "X", help: "only the likeliest with this probability (default 1)" },
    "repetition-penalty": { type: "number", value: "X", help: "above 1, tokens come back less (default 1)" },
    seed: { type: "number", value: "N", help: "seed of the draws (default 0)" },
  },

  async run(args, output) {
    const [prompt, chat] = [args.text("prompt"), args.text("chat")];
    if ((prompt === undefined) === (chat === undefined)) {
      throw new RangeError("Cannot generate: expected either --prompt or --chat");
    }
    const folder = args.text("adapter");
    const read = await checkAdapter(folder, output);
    await checkInputs(args.required("model"));
    using gpu = await openGpu(output);
    using model = await loadModel(args.required("model"), { gpu });
    using _adapter = folder === undefined ? undefined : await loadAdapter(model, folder);
    const tokenizer = tokenizerOf(model);
    const start = chat === undefined ? tokenizer.encode(prompt!) : tokenizer.encode(
      renderChat(tokenizer, [{ role: "user", content: chat }], { addGenerationPrompt: true }),
      {
        addSpecial: false,
      },
    );
    const ids: number[] = [];
    let text = "";
    const stream = decodeStream(tokenizer);
    // The prompt goes through the stream too: a decoder drops the space before the first token of a text.
    const asked = start.map((id) => stream.push(id)).join("");
    const made = tokensOf(model, start, optionsOf(args));
    // Refuses options that make no sense before anything is printed.
    let next = await made.next();
    if (chat === undefined) output.write(asked);
    const take = (piece: string) => {
      text += piece;
      output.write(piece);
    };
    for (; !next.done; next = await made.next()) {
      ids.push(next.value);
      take(stream.push(next.value));
    }
    take(stream.end());
    output.say("");
    return { prompt: start, ids, text, ...read, device: gpu.info.name, software: gpu.info.isSoftware };
  },
};

function tokenizerOf(model: Model) {
  if (model.tokenizer) return model.tokenizer;
  throw new TypeError(`Cannot generate text: ${model.source.folder} has no tokenizer.json`);
}

function optionsOf(args: Arguments) {
  const given = {
    maxNewTokens: args.number("max-new-tokens"),
    temperature: args.number("temperature"),
    topK: args.number("top-k"),
    topP: args.number("top-p"),
    repetitionPenalty: args.number("repetition-penalty"),
    seed: args.number("seed"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
