import { VERSION } from "../core/version.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { settleVariants } from "../ops/variants.ts";
import { runIdentity } from "../train/run_config.ts";
import type { RunEvent } from "../train/run_event.ts";
import { identify } from "./identity.ts";
import { Laboratory, type MeasuredRun, type Measures } from "./measure.ts";
import { addRows, gather, type Part, partFile, readPartRows, readRows, runsOfPart } from "./parts.ts";

/** A grid of runs, as its JSON file says it; paths are relative to that file. */
export interface SweepConfig {
  /** Settings of all runs. */
  readonly base: Record<string, unknown>;
  /**
   * Settings that vary: blocks of lists of values. An object in a list stands for the settings in it, which then vary
   * together: `"variant": [{ "method": "olora" }, { "method": "olora", "freeze": "B" }]`.
   */
  readonly grid: readonly Readonly<Record<string, readonly unknown[]>>[];
  /** Files on which finished runs are measured. */
  readonly measures: Measures;
  /** File that finished runs are appended to. */
  readonly rows: string;
  /** Folder for what unfinished runs leave behind. */
  readonly work: string;
  /** Where the settings come from, by their names: what was confirmed and what is only remembered of a paper, say. */
  readonly sources?: Readonly<Record<string, string>>;
}

/** A run of a sweep. */
export type SweepRun = MeasuredRun["config"];

/**
 * All runs of a sweep: for each block of the grid every combination of its lists, the first list slowest. A block may
 * repeat runs of an earlier one; each run is made once.
 *
 * @throws {RangeError} If a run lacks method, learningRate or seed.
 */
export function expand({ base, grid }: SweepConfig): SweepRun[] {
  const runs = new Map<string, SweepRun>();
  for (const block of grid) {
    const settings = Object.entries(block).reduce<Record<string, unknown>[]>(
      (made, [name, values]) =>
        made.flatMap((before) =>
          values.map((value) => ({ ...before, ...(isObject(value) ? value : { [name]: value }) }))
        ),
      [base],
    );
    for (const run of settings) {
      for (const name of ["method", "learningRate", "seed", "model", "data"]) {
        if (run[name] === undefined) {
          throw new RangeError(
            `Cannot make run ${JSON.stringify(run)}: found no ${name}, expected one in base or grid`,
          );
        }
      }
      runs.set(runIdentity(run as unknown as SweepRun), run as unknown as SweepRun);
    }
  }
  return [...runs.values()];
}

/** How a sweep goes. */
export interface SweepEvent {
  /** Runs finished, those of earlier times included. */
  readonly done: number;
  /** Runs in all. */
  readonly total: number;
  /** The run at hand and its last event. */
  readonly run: SweepRun;
  /** Its last event; absent when it is finished, or made elsewhere. */
  readonly event?: RunEvent;
  /** The finished run, if it was made here. */
  readonly row?: MeasuredRun;
  /** Another process makes it. */
  readonly isElsewhere?: boolean;
}

/** How a sweep is carried out. */
export interface SweepControl {
  /** Device to run on, which stays open. */
  readonly gpu: Gpu;
  /** A model to use for the runs on it in place of loading it; it stays open. */
  readonly model?: Model;
  /** Asked between updates. */
  stopped(): boolean;
  /** Makes only this part of the runs, beside other processes; their rows are gathered by a sweep of all. */
  readonly part?: Part;
  /** Runs of the sweep to leave out, e.g. as the device lacks the memory. */
  readonly without?: ReadonlySet<SweepRun>;
  /** Hears, before the first run, how many runs there are to see to and which of them have no row yet. */
  onStart?(total: number, left: readonly SweepRun[]): void;
}

/**
 * Makes the runs that have no row yet, one after the other, and appends a row for each.
 *
 * A run is known by a hash of its settings, the contents of all files that it reads, the kit's version, the device and
 * its kernel variants; where the files lie does not matter. One that was stopped goes on from its checkpoint; a row is
 * whole or absent, and never doubled, since it is looked for before a run and appended as one synced line after it.
 *
 * Several processes may share a sweep: a run that another one makes is waited for. A part's rows go to a file of its
 * own, which in the end has a row for each of its runs; a sweep without `part` first gathers those of all parts.
 */
export async function* sweep(
  config: SweepConfig,
  runs: readonly SweepRun[],
  control: SweepControl,
): AsyncGenerator<SweepEvent> {
  const { gpu, stopped, part, without } = control;
  const place = { device: gpu.info.name, variants: settleVariants(gpu), version: VERSION };
  const whole = part ? runsOfPart(runs.length, part).map((i) => runs[i]) : runs;
  const own = whole.filter((run) => !without?.has(run));
  const identities = await identify(own, config.measures);
  const hashes = await identities.hashes(place);
  const total = own.length;
  const mine = new Set(hashes);
  const file = part ? partFile(config.work, part) : config.rows;
  const known = async () => [...await readRows(config.rows), ...await readPartRows(config.work)];
  for (const folder of ["parts", "locks"]) await Deno.mkdir(`${config.work}/${folder}`, { recursive: true });
  if (!part) await gather(config, identities);
  const rows = (await known()).filter(({ run }) => mine.has(run));
  if (part) await addRows(file, rows, config.work);
  const finished = new Set(rows.map(({ run }) => run));
  control.onStart?.(total, own.filter((_, i) => !finished.has(hashes[i])));
  let done = finished.size;
  let loaded: Model | undefined;
  let base: string | undefined;
  let laboratory: Laboratory | undefined;
  try {
    for (const [i, run] of own.entries()) {
      const hash = hashes[i];
      if (finished.has(hash)) continue;
      const [out, lockPath] = [`${config.work}/${hash}`, `${config.work}/locks/${hash}`];
      using lock = await Deno.open(lockPath, { create: true, write: true });
      while (!stopped() && !await lock.tryLock(true)) {
        yield { done, total, run, isElsewhere: true };
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      if (stopped()) return;
      const found = (await known()).find((row) => row.run === hash);
      if (!found && base !== baseOf(run)) {
        loaded?.[Symbol.dispose]();
        base = baseOf(run);
        const { model, permutation } = run;
        const given = control.model?.source.name === model && permutation === undefined;
        loaded = given
          ? undefined
          : await loadModel(model, { gpu, ...(permutation !== undefined && { permutation }) });
        laboratory = new Laboratory(loaded ?? control.model!, config.measures);
      }
      let row: MeasuredRun | undefined;
      if (!found) {
        const making = make(laboratory!, hash, { ...run, out }, stopped);
        let next = await making.next();
        for (; !next.done; next = await making.next()) yield { done, total, run, event: next.value };
        if (!next.value) return;
        row = { ...next.value, config: run };
      }
      await addRows(file, [found ?? row!], config.work);
      for (const left of [out, lockPath]) await Deno.remove(left, { recursive: true }).catch(() => {});
      yield { done: ++done, total, run, ...(row && { row }) };
    }
  } finally {
    loaded?.[Symbol.dispose]();
  }
}

/** What a run starts from: the model and the order of its features. */
function baseOf({ model, permutation }: SweepRun): string {
  return `${model} ${permutation}`;
}

/** Makes one run; gives its latest event now and then, and at the end its row, or undefined if it was stopped. */
async function* make(
  laboratory: Laboratory,
  hash: string,
  config: SweepRun,
  stopped: () => boolean,
): AsyncGenerator<RunEvent, MeasuredRun | undefined> {
  const events: RunEvent[] = [];
  let over = false;
  const measuring = laboratory.measure(hash, config, {
    stopped,
    resume: true,
    onEvent: (event) => events.push(event),
  }).finally(() => over = true);
  while (!over) {
    await Promise.race([measuring, new Promise((resolve) => setTimeout(resolve, 250))]);
    const event = events.splice(0).at(-1);
    if (event && !over) yield event;
  }
  return await measuring;
}

/** A run in a few words, for people. */
export function describeRun({ method, learningRate, seed, rank }: SweepRun): string {
  return `${method}${rank ? ` r ${rank}` : ""} ${learningRate} seed ${seed}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
