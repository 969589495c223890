import { Tokenizer as Engine } from "npm:@huggingface/tokenizers@0.2.0";
import { isGguf } from "./gguf.ts";
import { readGgufTokenizer } from "./gguf_tokenizer.ts";
import { type JsonObject, readJson, readJsonIfAny, readTextIfAny } from "./json_file.ts";

/** Text to token ids and back, with the ids that mean something to a model. */
export interface Tokenizer {
  /**
   * The ids of `text`. With `addSpecial` (default true) also those that the tokenizer puts around a text,
   * such as a leading `<s>`.
   */
  encode(text: string, options?: { addSpecial?: boolean }): number[];
  /** The text of `ids`; special tokens are left out unless `keepSpecial`. */
  decode(ids: readonly number[], options?: { keepSpecial?: boolean }): string;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** Id that begins a text, if there is one. */
  readonly bos: number | undefined;
  /** Ids that end a text, the tokenizer's own first; a generation stops at any of them. */
  readonly eos: readonly number[];
  /** Jinja template of a conversation, if the folder has one. */
  readonly chatTemplate: string | undefined;
  /** Text of special tokens by their role (`bos_token`, `eos_token`, …), for chat templates. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** The files beside a tokenizer.json that say how it is used; each may be absent. */
export interface TokenizerFiles {
  /** `tokenizer_config.json`. */
  readonly tokenizerConfig?: JsonObject;
  /** `config.json` of the model. */
  readonly config?: JsonObject;
  /** `generation_config.json`. */
  readonly generationConfig?: JsonObject;
  /** Text of `chat_template.jinja`, where newer transformers store the template. */
  readonly chatTemplate?: string;
}

/**
 * Loads the tokenizer of a Hugging Face folder: `tokenizer.json`, and what is there of `tokenizer_config.json`,
 * `config.json`, `generation_config.json` and `chat_template.jinja`; or that of a GGUF file, from its metadata.
 *
 * @throws {Deno.errors.NotFound} If the folder has no tokenizer.json, or the file no tokenizer.
 * @throws {SyntaxError} If a file is not JSON or describes no tokenizer that is known.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  if (isGguf(folder)) {
    const { json, files } = await readGgufTokenizer(folder);
    return makeTokenizer(json, files, folder);
  }
  const [json, tokenizerConfig, config, generationConfig, chatTemplate] = await Promise.all([
    readJson(`${folder}/tokenizer.json`),
    readJsonIfAny(`${folder}/tokenizer_config.json`),
    readJsonIfAny(`${folder}/config.json`),
    readJsonIfAny(`${folder}/generation_config.json`),
    readTextIfAny(`${folder}/chat_template.jinja`),
  ]);
  return makeTokenizer(
    json,
    { tokenizerConfig, config, generationConfig, chatTemplate },
    `${folder}/tokenizer.json`,
  );
}

/**
 * A tokenizer from the content of its files; encoding and decoding are those of `npm:@huggingface/tokenizers`.
 *
 * @param json Content of tokenizer.json.
 * @param files Content of the files beside it.
 * @param name The name of tokenizer.json, for errors.
 * @throws {SyntaxError} If `json` describes no tokenizer that is known.
 */
export function makeTokenizer(
  json: JsonObject,
  files: TokenizerFiles = {},
  name = "tokenizer.json",
): Tokenizer {
  const { tokenizerConfig = {}, config = {}, generationConfig = {} } = files;
  let engine: Engine;
  try {
    engine = new Engine(json, tokenizerConfig);
  } catch (cause) {
    throw new SyntaxError(`Cannot read ${name}: ${(cause as Error).message}`, { cause });
  }
  const specialTokens = Object.fromEntries(
    Object.entries(tokenizerConfig).flatMap(([role, token]) => {
      const text = (token as { content?: unknown } | null)?.content ?? token;
      return role.endsWith("_token") && typeof text === "string" ? [[role, text]] : [];
    }),
  );
  const idOf = (role: string) => ids(engine.token_to_id(specialTokens[role] ?? ""));
  const own = [generationConfig, config];
  return {
    encode: (text, { addSpecial = true } = {}) => engine.encode(text, { add_special_tokens: addSpecial }).ids,
    decode: (ids, { keepSpecial = false } = {}) =>
      // The library refuses an empty list.
      ids.length === 0 ? "" : engine.decode([...ids], {
        skip_special_tokens: !keepSpecial,
        clean_up_tokenization_spaces: tokenizerConfig.clean_up_tokenization_spaces === true,
      }),
    vocabularySize: 1 + engine.get_vocab(true).values().reduce((largest, id) => Math.max(largest, id), -1),
    bos: [...idOf("bos_token"), ...own.flatMap((file) => ids(file.bos_token_id))].at(0),
    eos: [...new Set([...idOf("eos_token"), ...own.flatMap((file) => ids(file.eos_token_id))])],
    chatTemplate: files.chatTemplate ?? chatTemplate(tokenizerConfig.chat_template),
    specialTokens,
  };
}

/** Text that grows as ids arrive. */
export interface DecodeStream {
  /** The text that `id` completes; empty while a character is unfinished. */
  push(id: number): string;
  /** What is left: bytes that never became a character appear as U+FFFD. */
  end(): string;
}

/**
 * Decodes ids one by one without ever giving half a character: a token may hold a part of a character's bytes,
 * so text is held back while it ends in U+FFFD. Each id is decoded together with the ones before it since the
 * last text given, because decoders treat the first token of a text differently.
 */
export function decodeStream(tokenizer: Pick<Tokenizer, "decode">): DecodeStream {
  let given: number[] = [];
  let held: number[] = [];
  const take = (finished: boolean) => {
    const before = tokenizer.decode(given);
    const now = tokenizer.decode([...given, ...held]);
    if (!finished && (now.endsWith("\uFFFD") || now.length <= before.length)) return "";
    [given, held] = [held, []];
    return now.slice(before.length);
  };
  return {
    push(id) {
      held.push(id);
      return take(false);
    },
    end: () => take(true),
  };
}

function ids(found: unknown): number[] {
  return [found].flat().filter((id): id is number => typeof id === "number" && Number.isInteger(id));
}

/** tokenizer_config.json holds one template or a list of named ones, of which `default` counts. */
function chatTemplate(found: unknown): string | undefined {
  if (typeof found === "string") return found;
  if (!Array.isArray(found)) return undefined;
  const named = found.find((entry) => entry?.name === "default");
  return typeof named?.template === "string" ? named.template : undefined;
}
