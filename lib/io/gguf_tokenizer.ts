import { openGguf } from "./gguf.ts";
import type { GgufHeader, GgufValue } from "./gguf_format.ts";
import type { JsonObject } from "./json_file.ts";
import type { TokenizerFiles } from "./tokenizer.ts";

/** Kinds of tokens, by the numbers in `tokenizer.ggml.token_type`. */
const [UNKNOWN, CONTROL, USER_DEFINED] = [2, 3, 4];

const byteLevel = (regex: boolean) => ({ type: "ByteLevel", add_prefix_space: false, use_regex: regex });
const split = (regex: string) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
    byteLevel(false),
  ],
});
const words = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** How byte-level BPE splits a text and begins it, by `tokenizer.ggml.pre`. */
const PRE: Readonly<Record<string, { pre: JsonObject; normalizer?: JsonObject; whole?: true; bos?: true }>> =
  {
    "gpt-2": { pre: byteLevel(true) },
    "smollm": {
      pre: {
        type: "Sequence",
        pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)],
      },
    },
    "llama-bpe": { pre: split(words("\\p{N}{1,3}")), whole: true, bos: true },
    "qwen2": { pre: split(words("\\p{N}")), normalizer: { type: "NFC" } },
  };

/** What `makeTokenizer` takes. */
export interface GgufTokenizer {
  /** The content of a tokenizer.json. */
  readonly json: JsonObject;
  /** What stands in the files beside it. */
  readonly files: TokenizerFiles;
}

/**
 * The tokenizer that the metadata of the GGUF file at `path` describe, as `ggufTokenizer`.
 *
 * @throws {SyntaxError} If the file is malformed.
 */
export async function readGgufTokenizer(path: string): Promise<GgufTokenizer> {
  using file = await openGguf(path);
  return ggufTokenizer(file.metadata, path);
}

/**
 * A tokenizer.json from a GGUF file's metadata: byte-level BPE (`gpt2`) with the pre-tokenizers gpt-2, smollm,
 * llama-bpe and qwen2, or SentencePiece's BPE (`llama`), whose merges are made from the scores as transformers does.
 *
 * Source: the keys `tokenizer.ggml.*` of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what llama.cpp does
 * for each pre-tokenizer.
 *
 * @param name The file's name, for errors.
 * @throws {Deno.errors.NotFound} If the metadata hold no tokenizer.
 * @throws {RangeError} If it is of a kind that is not supported.
 * @throws {SyntaxError} If a part is missing or of another type than it should be.
 */
export function ggufTokenizer(metadata: GgufHeader["metadata"], name: string): GgufTokenizer {
  const get = (key: string) => metadata.get(`tokenizer.ggml.${key}`);
  const model = get("model");
  if (model === undefined) {
    throw new Deno.errors.NotFound(`Cannot read the tokenizer of ${name}: found no tokenizer.ggml.model`);
  }
  const list = (key: string, type: "string" | "number") => {
    const found = get(key);
    const values = typeof found === "object" ? Array.from(found) : [];
    if (typeof found !== "object" || !values.every((value) => typeof value === type)) {
      throw new SyntaxError(
        `Cannot read the tokenizer of ${name}: found ${typeof found} for tokenizer.ggml.${key}, expected an array of ${type}s`,
      );
    }
    return values;
  };
  const tokens = list("tokens", "string") as string[];
  const types = get("token_type") === undefined ? [] : list("token_type", "number") as number[];
  const kind = model === "gpt2" ? get("pre") : model;
  const bytes = model === "gpt2" && Object.hasOwn(PRE, String(kind)) ? PRE[String(kind)] : undefined;
  if (!bytes && model !== "llama") {
    throw new RangeError(
      `Cannot use the tokenizer of ${name}: found ${model === "gpt2" ? "pre-tokenizer" : "model"} ${
        JSON.stringify(kind ?? null)
      }, expected model llama or gpt2 with ${Object.keys(PRE).join(", ")}`,
    );
  }
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const token = (role: string): string | undefined => tokens[Number(get(`${role}_token_id`) ?? -1)];
  const parts = bytes
    ? byteLevelParts(bytes, vocab, list("merges", "string") as string[])
    : sentencePieceParts(vocab, tokens, list("scores", "number") as number[], token("unknown"), get);
  const bos = get("add_bos_token") ?? (bytes ? bytes.bos ?? false : true);
  return {
    json: {
      version: "1.0",
      added_tokens: tokens.flatMap((content, id) =>
        [UNKNOWN, CONTROL, USER_DEFINED].includes(types[id])
          ? [{ id, content, special: types[id] !== USER_DEFINED, ...PLAIN }]
          : []
      ),
      ...parts,
      post_processor: ends(
        bos ? token("bos") : undefined,
        get("add_eos_token") ? token("eos") : undefined,
        vocab,
      ),
    },
    files: {
      tokenizerConfig: Object.fromEntries(
        [
          ["bos_token", token("bos")],
          ["eos_token", token("eos")],
          ["unk_token", token("unknown")],
          ["pad_token", token("padding")],
          ["chat_template", metadata.get("tokenizer.chat_template")],
        ].filter(([, value]) => value !== undefined),
      ),
      config: { eos_token_id: [get("eos_token_id"), get("eot_token_id")].filter((id) => id !== undefined) },
    },
  };
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false };

function byteLevelParts(
  { pre, normalizer, whole }: typeof PRE[string],
  vocab: Record<string, number>,
  merges: string[],
): JsonObject {
  return {
    normalizer: normalizer ?? null,
    pre_tokenizer: pre,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab, merges, ignore_merges: whole ?? false },
  };
}

function sentencePieceParts(
  vocab: Record<string, number>,
  tokens: readonly string[],
  scores: readonly number[],
  unknown: string | undefined,
  get: (key: string) => GgufValue | undefined,
): JsonObject {
  const prefix = get("add_space_prefix") !== false;
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [
        ...(prefix ? [{ type: "Prepend", prepend: "▁" }] : []),
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      unk_token: unknown ?? null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: mergesOf(vocab, tokens, scores),
    },
  };
}

/** All pairs of tokens that make up a third, that of the highest score first. */
function mergesOf(
  vocab: Record<string, number>,
  tokens: readonly string[],
  scores: readonly number[],
): [string, string][] {
  const merges: { pair: [string, string]; score: number }[] = [];
  tokens.forEach((token, id) => {
    const characters = [...token];
    const pairs: [string, string][] = [];
    for (let i = 1; i < characters.length; i++) {
      const pair: [string, string] = [characters.slice(0, i).join(""), characters.slice(i).join("")];
      if (pair.every((part) => Object.hasOwn(vocab, part))) pairs.push(pair);
    }
    pairs.sort((p, q) => vocab[p[0]] - vocab[q[0]] || vocab[p[1]] - vocab[q[1]]);
    for (const pair of pairs) merges.push({ pair, score: scores[id] ?? 0 });
  });
  return merges.sort((p, q) => q.score - p.score).map(({ pair }) => pair);
}

/** What puts the tokens that begin and end a text around it. */
function ends(
  bos: string | undefined,
  eos: string | undefined,
  vocab: Record<string, number>,
): JsonObject | null {
  if (bos === undefined && eos === undefined) return null;
  const special = (token: string | undefined) =>
    token === undefined ? [] : [{ SpecialToken: { id: token, type_id: 0 } }];
  const known = [bos, eos].filter((token) => token !== undefined);
  return {
    type: "TemplateProcessing",
    single: [...special(bos), { Sequence: { id: "A", type_id: 0 } }, ...special(eos)],
    pair: [],
    special_tokens: Object.fromEntries(
      known.map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }]),
    ),
  };
}
