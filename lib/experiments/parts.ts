import { appendLine, readJsonl } from "../io/jsonl.ts";
import type { RunIdentities } from "./identity.ts";
import type { MeasuredRun } from "./measure.ts";

/** A share of a sweep's runs, `--part 3/12`: what one process of several makes. */
export interface Part {
  /** Its number, from 1. */
  readonly index: number;
  /** Number of parts. */
  readonly of: number;
}

/** Files of a sweep that all of its processes share. */
export interface SweepFiles {
  /** Finished runs. */
  readonly rows: string;
  /** Folder for what is under way. */
  readonly work: string;
}

/**
 * Reads `I/N`.
 *
 * @throws {RangeError} If it is not two whole numbers with 1 <= I <= N.
 */
export function parsePart(text: string): Part {
  const [, index, of] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (!(index >= 1 && index <= of)) {
    throw new RangeError(`Cannot take part ${text}: expected I/N with 1 <= I <= N, e.g. 3/12`);
  }
  return { index, of };
}

/** Numbers of the runs in a part: neighbours, which mostly share a model; parts differ by one run at most. */
export function runsOfPart(runs: number, { index, of }: Part): number[] {
  const [start, end] = [index - 1, index].map((i) => Math.floor(i * runs / of));
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** The file that a part appends its rows to: its own, as not every shared file system takes appends from many machines. */
export function partFile(work: string, { index, of }: Part): string {
  return `${work}/parts/${index}-of-${of}.jsonl`;
}

/** The rows of a file; none if it is missing. */
export async function readRows(path: string): Promise<MeasuredRun[]> {
  try {
    return (await readJsonl(path, { dropUnfinished: true })).map(({ value }) => value as MeasuredRun);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The rows of all parts, of whatever number, in the order of their files' names. */
export async function readPartRows(work: string): Promise<MeasuredRun[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`${work}/parts`)) if (name.endsWith(".jsonl")) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const files = await Promise.all(names.sort().map((name) => readRows(`${work}/parts/${name}`)));
  return files.flat();
}

/** Appends the rows whose run `path` does not hold yet; a lock in `work` keeps two processes from adding one twice. */
export async function addRows(path: string, rows: readonly MeasuredRun[], work: string): Promise<void> {
  if (!rows.length) return;
  await Deno.mkdir(work, { recursive: true });
  using lock = await Deno.open(`${work}/lock`, { create: true, write: true });
  await lock.lock(true);
  const missing = new Map(rows.map((row) => [row.run, row]));
  for (const { run } of await readRows(path)) missing.delete(run);
  if (missing.size) appendLine(path, ...missing.values());
}

/**
 * Brings the rows of all parts into the sweep's file, in the order of its runs. Killed at any moment, it can be called
 * again: a row is never lost, as the parts keep theirs, and never doubled. A run that several devices made keeps the row of
 * each; `groupRuns` counts it once.
 */
export async function gather({ rows, work }: SweepFiles, identities: RunIdentities): Promise<void> {
  const found = await identities.find(await readPartRows(work));
  await addRows(rows, found.map(({ row }) => row), work);
}
