import type { JsonObject } from "./json_file.ts";
import { openNamed, readAt } from "./read_at.ts";

/**
 * The rows of the parquet file at `path`, as the Hugging Face hub stores datasets: by npm's hyparquet, uncompressed or in
 * Snappy. Whole numbers of 64 bits become numbers where they are exact.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {SyntaxError} If it is not a parquet file, or of a kind that is not read.
 */
export async function readParquet(path: string): Promise<JsonObject[]> {
  // Loaded here, so that whoever has no parquet needs none of it.
  const { parquetReadObjects } = await import("npm:hyparquet@1.33.0");
  using file = await openNamed(path, "a parquet file");
  const byteLength = file.statSync().size;
  const bytes = { byteLength, slice: (start: number, end = byteLength) => slice(file, start, end, path) };
  try {
    return (await parquetReadObjects({ file: bytes })).map((row) => narrowed(row) as JsonObject);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new SyntaxError(`Cannot read ${path}: expected a parquet file (${cause.message})`, { cause });
  }
}

function slice(file: Deno.FsFile, start: number, end: number, path: string): ArrayBuffer {
  const { size } = file.statSync();
  const [from, to] = [start, end].map((at) => Math.min(size, Math.max(0, at < 0 ? size + at : at)));
  return readAt(file, from, Math.max(0, to - from), path).buffer;
}

/** Numbers in place of big integers that they hold exactly, at any depth. */
function narrowed(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(narrowed);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, narrowed(each)]));
}
