/** A row of a JSON lines file. */
export interface JsonlRow {
  /** Its line in the file, from 1. */
  readonly line: number;
  /** What the line holds. */
  readonly value: unknown;
}

/** How JSON lines are read. */
export interface JsonlOptions {
  /** Leaves out a last line that was cut off while it was written (no newline, not JSON); default false. */
  readonly dropUnfinished?: boolean;
}

/**
 * The rows of JSON lines text. Empty lines are no rows; a byte order mark and CR LF are accepted.
 *
 * @param text The file's content.
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If a line is not JSON, e.g. `Cannot read rows.jsonl line 3: expected JSON, found "{a"`.
 */
export function parseJsonl(text: string, name: string, options: JsonlOptions = {}): JsonlRow[] {
  const rows: JsonlRow[] = [];
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  lines.forEach((source, i) => {
    if (source.trim() === "") return;
    try {
      rows.push({ line: i + 1, value: JSON.parse(source) });
    } catch (cause) {
      if (options.dropUnfinished && i === lines.length - 1) return;
      const found = JSON.stringify(source.length > 60 ? source.slice(0, 60) + "…" : source);
      throw new SyntaxError(`Cannot read ${name} line ${i + 1}: expected JSON, found ${found}`, { cause });
    }
  });
  return rows;
}

/**
 * The rows of the JSON lines file at `path`.
 *
 * @throws {SyntaxError} As {@linkcode parseJsonl}.
 */
export async function readJsonl(path: string, options: JsonlOptions = {}): Promise<JsonlRow[]> {
  return parseJsonl(await Deno.readTextFile(path), path, options);
}

/**
 * Appends rows to the JSON lines file at `path`, made if missing, and returns when they are on the disk.
 *
 * A process killed meanwhile leaves at most one cut-off line at the end, and the next call cuts it away, so no
 * row is ever half there or there twice. An exclusive file lock lets several processes append to one file.
 */
export function appendLine(path: string, ...rows: unknown[]): void {
  using file = Deno.openSync(path, { read: true, write: true, create: true });
  file.lockSync(true);
  const end = repair(file);
  file.seekSync(end, Deno.SeekMode.Start);
  writeAll(file, new TextEncoder().encode(rows.map((row) => JSON.stringify(row) + "\n").join("")));
  file.syncDataSync();
}

const NEWLINE = 10;
const BLOCK = 65536;

/** Ends an unfinished last line: with a newline if it is a whole row, else by cutting it. Gives the end. */
function repair(file: Deno.FsFile): number {
  const { size } = file.statSync();
  let tail = new Uint8Array(0);
  let start = size;
  while (start > 0 && !tail.includes(NEWLINE)) {
    const next = Math.max(0, start - BLOCK);
    const block = new Uint8Array(start - next + tail.length);
    file.seekSync(next, Deno.SeekMode.Start);
    for (let at = 0; at < start - next;) at += file.readSync(block.subarray(at, start - next)) ?? start;
    block.set(tail, start - next);
    [tail, start] = [block, next];
    if (size > 0 && tail.at(-1) === NEWLINE) return size;
  }
  if (size === 0) return 0;
  const line = tail.subarray(tail.lastIndexOf(NEWLINE) + 1);
  if (isObject(line)) {
    file.seekSync(size, Deno.SeekMode.Start);
    writeAll(file, Uint8Array.of(NEWLINE));
    return size + 1;
  }
  file.truncateSync(size - line.length);
  return size - line.length;
}

/** Only an object or array shows by its last byte that nothing is missing; `12` may have been `123`. */
function isObject(line: Uint8Array): boolean {
  try {
    return typeof JSON.parse(new TextDecoder().decode(line)) === "object";
  } catch {
    return false;
  }
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}
