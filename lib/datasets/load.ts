import { dataFileName, type DataRows, parseRows, resolveData } from "../io/data_file.ts";
import { type JsonObject, parseJson } from "../io/json_file.ts";
import { parseJsonl } from "../io/jsonl.ts";
import { readParquet } from "../io/parquet.ts";
import type { Tokenizer } from "../io/tokenizer.ts";
import { encodeLong, encodeSpans, type TokenRow } from "./encode.ts";
import { exampleOf, rowForm } from "./forms.ts";

/** How a file becomes rows of tokens. */
export interface DatasetOptions {
  /** Predicted positions of a row: rows keep their first `seqLen + 1` tokens. Without it none is cut. */
  readonly seqLen?: number;
  /** Whether only completions and the assistant's turns count in the loss; default true. */
  readonly maskPrompt?: boolean;
  /** Whether the end-of-text token is put after each row but those of conversations and .txt; default true. */
  readonly addEnd?: boolean;
  /** Ids in `batches` must be below it; the tokenizer's by default. */
  readonly vocabularySize?: number;
}

/** Rows of tokens, ready to be put in batches. */
export interface Dataset {
  /**
   * `rows`: each is a sequence by itself. `text`: joined end to end and cut into full sequences. `batches`: given
   * as they are to be used.
   */
  readonly kind: "rows" | "text" | "batches";
  /** The rows of each batch for `batches`, else all rows as one list. */
  readonly groups: readonly (readonly TokenRow[])[];
  /** Rows that were cut at `seqLen + 1` tokens. */
  readonly truncated: number;
  /** Rows left out because no token of theirs counts in the loss. */
  readonly skipped: number;
}

/**
 * Loads training or evaluation data: `.jsonl` rows (or a `.json` list or `.parquet` file of them) of one form
 * ({@linkcode rowForm}), a `.txt` file, or `.json` `{"batches": [[[ids]]]}`.
 *
 * @param path A path or `hf:datasets/org/name/file@revision`, at the end `[from:to]` for a part of the rows, of `.txt` of
 * the lines, of batches of these.
 * @param tokenizer Needed for everything but `batches`.
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {SyntaxError} If the file is malformed; the message names the line.
 * @throws {RangeError} If a row's content cannot be used; the message names the line.
 */
export async function loadDataset(
  path: string,
  tokenizer?: Tokenizer,
  options: DatasetOptions = {},
): Promise<Dataset> {
  const found = await resolveData(path);
  if (!found.endsWith(".parquet")) {
    return parseDataset(await Deno.readTextFile(found), path, tokenizer, options);
  }
  if (!tokenizer) throw needsTokenizer(path);
  const rows = (await readParquet(found)).map((value, i) => ({ line: i + 1, value }));
  return encodeRows(rows, { ...parseRows(path), unit: "row" }, tokenizer, options);
}

/** {@linkcode loadDataset} on the file's text; its name decides by its ending, and `[from:to]`, what is read. */
export function parseDataset(
  text: string,
  name: string,
  tokenizer?: Tokenizer,
  options: DatasetOptions = {},
): Dataset {
  const { file, from, to } = parseRows(name);
  const title = dataFileName(name);
  const json = title.endsWith(".json") ? parseJson(text, file) : undefined;
  if (json !== undefined && !Array.isArray(json)) {
    const vocabularySize = options.vocabularySize ?? tokenizer?.vocabularySize ?? Infinity;
    return batchesOf(json, { file, from, to }, vocabularySize);
  }
  if (!tokenizer) throw needsTokenizer(file);
  if (title.endsWith(".txt")) {
    const part = text.split("\n").slice(from, to).join("\n");
    const ids = encodeLong(tokenizer, part);
    return keep("text", [{ ids, mask: ids.map((_, i) => i > 0) }], Infinity);
  }
  if (!json && !title.endsWith(".jsonl")) {
    throw new RangeError(
      `Cannot read ${file}: found an unknown ending, expected .jsonl, .json, .parquet or .txt`,
    );
  }
  const rows = json ? json.map((value, i) => ({ line: i + 1, value })) : parseJsonl(text, file);
  return encodeRows(rows, { file, from, to, unit: json ? "row" : "line" }, tokenizer, options);
}

/**
 * The rows of a `.json` file `[[ids], …]`: each a sequence by itself, all of its tokens scored.
 *
 * @throws {SyntaxError} If the file is not JSON of that form.
 */
export function parseIds(text: string, name: string, vocabularySize = Infinity): TokenRow[] {
  const json = parseJson(text, name);
  if (!Array.isArray(json)) throw new SyntaxError(`Cannot read ${name}: expected [[ids], …]`);
  return json.map((ids, i) => idRow(ids, `${name} row ${i + 1}`, vocabularySize));
}

function needsTokenizer(name: string): TypeError {
  return new TypeError(`Cannot read ${name}: its text needs a tokenizer`);
}

function encodeRows(
  all: readonly { line: number; value: unknown }[],
  { file, from, to, unit }: DataRows & { unit: "row" | "line" },
  tokenizer: Tokenizer,
  options: DatasetOptions,
): Dataset {
  const { seqLen = Infinity, maskPrompt = true, addEnd = true } = options;
  const rows = partOf(all, { file, from, to });
  const name = `${file} ${unit}`;
  const form = isObject(rows[0].value) ? rowForm(rows[0].value) : undefined;
  const encoded = rows.map(({ line, value }) => {
    if (form === undefined || !isObject(value) || rowForm(value) !== form) {
      const found = JSON.stringify(value);
      throw new SyntaxError(
        `Cannot read ${name} ${line}: found ${
          found.length > 80 ? found.slice(0, 80) + "…" : found
        }, expected ${form === undefined ? FORMS : `the form of the first row (${form})`}`,
      );
    }
    try {
      const { text, completion, special } = exampleOf(value, form, tokenizer);
      return encodeSpans(tokenizer, text, maskPrompt ? completion : [[0, text.length]], {
        addSpecial: !special,
        end: addEnd && !special ? tokenizer.eos[0] : undefined,
      });
    } catch (cause) {
      throw new RangeError(`Cannot read ${name} ${line}: ${(cause as Error).message}`, { cause });
    }
  });
  return form === "text" ? keep("text", encoded, Infinity) : keep("rows", encoded, seqLen + 1);
}

/** The rows that are meant. */
function partOf<Row>(all: readonly Row[], { file, from, to }: DataRows): readonly Row[] {
  if (all.length === 0) throw new RangeError(`Cannot read ${file}: found no rows`);
  if (from < all.length) return all.slice(from, to);
  throw new RangeError(`Cannot read ${file} from row ${from} on: found ${all.length} rows`);
}

function keep(kind: "rows" | "text", rows: readonly TokenRow[], limit: number): Dataset {
  const cut = rows.map(({ ids, mask }) => ({ ids: ids.slice(0, limit), mask: mask.slice(0, limit) }));
  const kept = cut.filter(({ mask }) => mask.includes(true));
  return {
    kind,
    groups: [kept],
    truncated: rows.filter(({ ids }) => ids.length > limit).length,
    skipped: rows.length - kept.length,
  };
}

function batchesOf(json: unknown, part: DataRows, vocabularySize: number): Dataset {
  const name = part.file;
  const { batches } = (json ?? {}) as Record<string, unknown>;
  const isBatch = (batch: unknown) => Array.isArray(batch) && batch.length > 0;
  if (!Array.isArray(batches) || batches.length === 0 || !batches.every(isBatch)) {
    throw new SyntaxError(`Cannot read ${name}: expected {"batches": [[[ids], …], …]} or a list of rows`);
  }
  const groups = partOf(batches, part).map((batch: unknown[], i) =>
    batch.map((ids, j) => idRow(ids, `${name} batch ${part.from + i + 1} row ${j + 1}`, vocabularySize))
  );
  return { kind: "batches", groups, truncated: 0, skipped: 0 };
}

function idRow(ids: unknown, where: string, vocabularySize: number): TokenRow {
  if (!Array.isArray(ids) || ids.length < 2) {
    throw new SyntaxError(`Cannot read ${where}: expected a list of at least 2 token ids`);
  }
  const wrong = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocabularySize);
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot read ${where}: found token id ${JSON.stringify(wrong)}, expected a whole number from 0 to ${
        vocabularySize - 1
      }`,
    );
  }
  return { ids, mask: ids.map((_, i) => i > 0) };
}

const FORMS = '{"text"}, {"prompt", "completion"}, {"messages"} or {"instruction", "input", "output"}';

function isObject(x: unknown): x is JsonObject {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}
