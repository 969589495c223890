import { Rng } from "../core/rng.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { dataFileName, parseRows, resolveData } from "../io/data_file.ts";
import { parseJson } from "../io/json_file.ts";

/** Files of the three parts of a data set. */
export interface Split {
  /** Eight tenths, to train on. */
  readonly train: string;
  /** One tenth, on which rates are chosen. */
  readonly validation: string;
  /** One tenth, on which methods are compared. */
  readonly test: string;
}

/** Fewer rows than this cannot be split and compared. */
const FEWEST = 10;

/**
 * Splits a data file into train, validation and test, 8 : 1 : 1: rows of `.jsonl` or of a `.json` list in an order drawn
 * by `seed`, batches likewise, and a `.txt` file in one piece each, from its beginning.
 *
 * @param path A path, or a dataset's file on the hub.
 * @param folder Where the parts are written, under the file's ending.
 * @throws {RangeError} If there are fewer than ten rows, or only a part of them, or a parquet file, is asked for.
 */
export async function splitData(path: string, folder: string, seed: number): Promise<Split> {
  const { file, from, to } = parseRows(path);
  const name = dataFileName(file);
  const ending = name.slice(name.lastIndexOf("."));
  if (from > 0 || to < Infinity || ending === ".parquet") {
    throw new RangeError(`Cannot split ${path}: expected the whole of a .jsonl, .json or .txt file`);
  }
  const text = await Deno.readTextFile(await resolveData(file));
  const parts = ending === ".txt" ? pieces(text, path) : rowsOf(text, path, seed);
  const names = ["train", "validation", "test"] as const;
  const files = names.map((name) => `${folder}/${name}${ending}`);
  for (const [i, file] of files.entries()) await writeFileAtomic(file, parts[i]);
  return Object.fromEntries(names.map((name, i) => [name, files[i]])) as unknown as Split;
}

function pieces(text: string, path: string): string[] {
  const words = text.split(/(?<=\s)/);
  return cut(words, path).map((part) => part.join(""));
}

function rowsOf(text: string, path: string, seed: number): string[] {
  const shuffled = <Row>(rows: Row[]) => cut(new Rng(seed, "split").shuffle(rows), path);
  if (!dataFileName(path).endsWith(".json")) {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return shuffled(lines).map((part) => part.join("\n") + "\n");
  }
  const json = parseJson(text, path) as unknown;
  if (Array.isArray(json)) return shuffled(json).map((part) => JSON.stringify(part));
  const { batches } = json as { batches: unknown[] };
  if (!Array.isArray(batches)) {
    throw new RangeError(`Cannot split ${path}: expected a list of rows, or {"batches": [[[ids]]]}`);
  }
  return shuffled(batches).map((batches) => JSON.stringify({ batches }));
}

function cut<Row>(rows: readonly Row[], path: string): Row[][] {
  if (rows.length < FEWEST) {
    throw new RangeError(`Cannot split ${path}: found ${rows.length} rows, expected at least ${FEWEST}`);
  }
  const tenth = Math.floor(rows.length / 10);
  const [first, second] = [rows.length - 2 * tenth, rows.length - tenth];
  return [rows.slice(0, first), rows.slice(first, second), rows.slice(second)];
}
