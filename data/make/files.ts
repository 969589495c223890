import { Rng } from "../../lib/core/rng.ts";
import { SPECIAL_TOKENS, tokenizerJson, trainBpe } from "./bpe.ts";
import { CHOICE_SETS, choiceSet, type Item } from "./choices.ts";
import { makeDocument } from "./documents.ts";
import { WORLD_SEED } from "./pretrain_batches.ts";
import { factTarget, farDomain, formatTarget, type Row, type Target } from "./targets.ts";
import type { Role } from "./templates.ts";
import { type Encode, encoder } from "./tokenizer.ts";
import { makeWorld, type Name, NEWCOMERS, type World } from "./world.ts";

/** Entries of the vocabulary. */
export const VOCABULARY = 1024;

/** Folders of the three bases; each can be loaded as a model. */
export const BASE_FOLDERS: readonly string[] = ["", "seed-2/", "seed-3/"];

/** What is known of a split beside its rows; losses in nats per predicted token. */
export interface SplitFigures {
  readonly rows: number;
  /** Tokens that a loss is taken of: those of the completion (or text) and `<eos>`. */
  readonly predictedTokens: number;
  /** Further rows, of general text, that a training split holds; the other figures leave them out. */
  readonly replayRows?: number;
  /** Loss of a predictor that knows all that can be known. */
  readonly entropyFloor?: number;
  /** Loss of a predictor that knows the form and how often each value occurs, and nothing else. */
  readonly formatFloor?: number;
}

/** All files of data/tiny but the weights, by path, and figures of the splits by path. */
export interface TinyFiles {
  readonly files: ReadonlyMap<string, string>;
  readonly splits: Readonly<Record<string, SplitFigures>>;
}

const ROLES: readonly Role[] = ["train", "validation", "test"];

/** Makes the text files of data/tiny in memory: a function of nothing but the code, so the same bits each time. */
export function makeFiles(): TinyFiles {
  const world = makeWorld(WORLD_SEED);
  const files = new Map<string, string>();
  const splits: Record<string, SplitFigures> = {};
  const tokenizer = tokenizerJson(
    trainBpe(documents(world, world.visitors, "tokenizer", 20_000).join("\n"), VOCABULARY),
  );
  const encode = encoder(tokenizer);
  for (const folder of BASE_FOLDERS) {
    files.set(`${folder}tokenizer.json`, tokenizer);
    files.set(`${folder}config.json`, JSON.stringify(CONFIG, null, 2) + "\n");
  }
  const addTexts = (path: string, texts: readonly string[], entropy?: number) => {
    // An empty prompt makes a row a sequence by itself that is scored from its first token.
    files.set(path, jsonl(texts.map((text) => ({ prompt: "", completion: text }))));
    const tokens = texts.reduce((sum, text) => sum + encode(text).length + 1, 0);
    splits[path] = {
      rows: texts.length,
      predictedTokens: tokens,
      ...(entropy === undefined ? {} : { entropyFloor: entropy * texts.length / tokens }),
    };
  };
  for (const name of ["train", "held_out"]) {
    const path = `general/${name}.jsonl`;
    addTexts(path, pages(documents(world, world.visitors, path, GENERAL_DOCUMENTS), encode));
  }
  const taken = new Set<string>();
  for (const role of ROLES) {
    const facts = factTarget(world, role, WORLD_SEED);
    const format = formatTarget(world.visitors, role, 1024, WORLD_SEED);
    for (const [name, target] of [["facts", facts], ["format", format]] as const) {
      const path = `${name}/${role}.jsonl`;
      const replay = role === "train" ? replayRows(world, encode, path) : [];
      files.set(path, jsonl(new Rng(WORLD_SEED, path).shuffle([...target.rows, ...replay])));
      splits[path] = {
        ...floors(target, encode),
        ...(role === "train" ? { replayRows: replay.length } : {}),
      };
    }
    const far = farDomain(role, 512, WORLD_SEED, taken);
    addTexts(`far/${role}.jsonl`, far.rows.map((row) => row.text), far.entropy);
  }
  addChoices(world, encode, files, splits);
  return { files, splits };
}

function addChoices(
  world: World,
  encode: Encode,
  files: Map<string, string>,
  splits: Record<string, SplitFigures>,
): void {
  const drawn: Row[] = [];
  const asked = new Set<string>();
  for (const name of Object.keys(CHOICE_SETS)) {
    const taken = new Set<string>();
    const count = name === "tiny-piqa" ? 100 : 200;
    const items = choiceSet(name, world, count, WORLD_SEED, taken);
    for (const { prompt } of items) asked.add(prompt);
    files.set(`tasks/${name}.jsonl`, jsonl(items));
    if (name !== "tiny-facts") {
      drawn.push(...choiceSet(name, world, count, WORLD_SEED + 1, taken).map(asRow));
    }
  }
  const rows = drawn.filter(({ prompt }) => !asked.has(prompt));
  const path = "tasks/train.jsonl";
  files.set(path, jsonl(new Rng(WORLD_SEED, path).shuffle(rows)));
  const tokens = rows.reduce((sum, { completion }) => sum + encode(completion).length + 1, 0);
  splits[path] = { rows: rows.length, predictedTokens: tokens };
}

/** The item with its right choice, as a row to train on. */
function asRow({ prompt, choices, answer }: Item): Row {
  const right = choices[answer];
  return { prompt, completion: right.endsWith(".") ? ` ${right}` : ` ${right}.` };
}

/**
 * Documents as pretraining meets them: one after the other with `<eos><bos>` between, as many whole ones as fit in a
 * row of 64 tokens.
 */
function pages(documents: readonly string[], encode: Encode): string[] {
  const out: string[] = [];
  for (const document of documents) {
    const longer = `${out.at(-1)}<eos><bos>${document}`;
    if (out.length > 0 && encode(longer).length + 2 <= PAGE) out[out.length - 1] = longer;
    else out.push(document);
  }
  return out;
}

/** Tokens of a page, `<bos>` and `<eos>` counted: the rows of pretraining. */
const PAGE = 64;
const GENERAL_DOCUMENTS = 1000;

/**
 * General text among the rows of a target's training split, as instruction data is mixed in practice: full
 * fine-tuning then unlearns less of how a text goes on (data/README.md has the figures).
 */
function replayRows(world: World, encode: Encode, stream: string): Row[] {
  const fits = (text: string) => encode(text).length + 2 <= REPLAY_TOKENS;
  return documents(world, world.visitors, `replay/${stream}`, 2 * REPLAY_ROWS)
    .filter(fits).slice(0, REPLAY_ROWS).map((text) => ({ prompt: "", completion: text }));
}

/** Rows of general text in a training split, and the most tokens of one. */
const REPLAY_ROWS = 256;
const REPLAY_TOKENS = 32;

function documents(world: World, visitors: readonly Name[], stream: string, count: number): string[] {
  const rng = new Rng(WORLD_SEED, stream);
  return Array.from({ length: count }, () => makeDocument(world, visitors, rng));
}

function floors({ rows, entropy, content }: Target, encode: Encode): SplitFigures {
  const tokens = rows.reduce((sum, row) => sum + encode(row.completion).length + 1, 0);
  return {
    rows: rows.length,
    predictedTokens: tokens,
    entropyFloor: entropy * rows.length / tokens,
    formatFloor: (entropy + content) * rows.length / tokens,
  };
}

function jsonl(rows: readonly unknown[]): string {
  return rows.map((row) => JSON.stringify(row) + "\n").join("");
}

/** `config.json` of the bases, in the form of Hugging Face's LlamaConfig. */
export const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: VOCABULARY,
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  hidden_act: "silu",
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  initializer_range: 0.02,
  pad_token_id: SPECIAL_TOKENS.indexOf("<pad>"),
  bos_token_id: SPECIAL_TOKENS.indexOf("<bos>"),
  eos_token_id: SPECIAL_TOKENS.indexOf("<eos>"),
  torch_dtype: "float16",
} as const;

/** Information in the new facts, in bits: four attributes of sixteen equally frequent values for each newcomer. */
export const NEW_FACT_BITS = NEWCOMERS * 4 * 4;
