import { fetchFromHub, type FetchOptions } from "./hub.ts";
import { isHubName, parseHubName } from "./hub_name.ts";

/** A file of data and which of its rows are meant, from `from` on and before `to`, counted from 0. */
export interface DataRows {
  /** A path, or a name on the hub. */
  readonly file: string;
  /** First row. */
  readonly from: number;
  /** The row after the last; Infinity for all. */
  readonly to: number;
}

/**
 * The parts of a specification of data, `file` or `file[from:to]`, in which either number may be missing, as in the
 * splits of Python's datasets.
 *
 * @throws {RangeError} If there are no rows between the numbers.
 *
 * @example Usage
 * ```ts ignore
 * parseRows("train.jsonl[16:]"); // { file: "train.jsonl", from: 16, to: Infinity }
 * ```
 */
export function parseRows(spec: string): DataRows {
  const [whole, first, last] = /\[(\d*):(\d*)\]$/.exec(spec) ?? [""];
  const [from, to] = [Number(first ?? 0), last ? Number(last) : Infinity];
  if (from < to) return { file: spec.slice(0, spec.length - whole.length), from, to };
  throw new RangeError(`Cannot read ${spec}: found rows ${from} to ${to}, expected from < to`);
}

/** The specification of the first `count` of the rows that `spec` means. */
export function firstRows(spec: string, count: number): string {
  const { file, from, to } = parseRows(spec);
  return `${file}[${from}:${Math.min(to, from + count)}]`;
}

/** The file's name by itself: without folder, revision and rows. */
export function dataFileName(spec: string): string {
  const { file } = parseRows(spec);
  const path = isHubName(file) ? parseHubName(file).file ?? file : file;
  return path.replace(/^.*[/\\]/, "");
}

/**
 * The path of the file that `spec` means: a path, or `hf:datasets/org/name/file@revision` on the Hugging Face hub, which
 * is fetched into the cache where it is not there yet ({@linkcode fetchFromHub}).
 *
 * @throws {RangeError} If it names a model.
 * @throws {Deno.errors.NotFound} If the hub has no such file; a path is not looked at.
 */
export async function resolveData(spec: string, options: FetchOptions = {}): Promise<string> {
  const { file } = parseRows(spec);
  if (!isHubName(file)) return file;
  if (parseHubName(file).kind === "dataset") return await fetchFromHub(file, options);
  throw new RangeError(
    `Cannot load data ${file}: found a model, expected hf:datasets/org/name/file@revision`,
  );
}
