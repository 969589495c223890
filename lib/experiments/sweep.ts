import { VERSION } from "../core/version.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { appendLine, readJsonl } from "../io/jsonl.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { resolveModel } from "../io/model_folder.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { settleVariants } from "../ops/variants.ts";
import { runIdentity } from "../train/run_config.ts";
import type { RunEvent } from "../train/run_event.ts";
import { Laboratory, type MeasuredRun, type Measures } from "./measure.ts";

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
          throw new RangeError(`Cannot sweep: ${JSON.stringify(run)} lacks ${name}`);
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
  /** Its last event; absent when it is finished. */
  readonly event?: RunEvent;
  /** The finished run. */
  readonly row?: MeasuredRun;
}

/**
 * Makes the runs that have no row yet, one after the other, and appends a row for each.
 *
 * A run is known by a hash of its settings, the contents of all files that it reads, the kit's version, the device and
 * its kernel variants; where the files lie does not matter. One that was stopped goes on from its checkpoint; a row is whole or absent, and never doubled, since
 * it is looked for before a run and appended as one synced line after it.
 */
export async function* sweep(
  config: SweepConfig,
  runs: readonly SweepRun[],
  control: { gpu: Gpu; stopped(): boolean },
): AsyncGenerator<SweepEvent> {
  const { gpu, stopped } = control;
  settleVariants(gpu);
  await Deno.mkdir(config.work, { recursive: true });
  using lock = await Deno.open(`${config.work}/lock`, { create: true, write: true });
  if (!await lock.tryLock(true)) {
    throw new RangeError(`Cannot sweep with ${config.work}: another process uses it`);
  }
  const place = `${gpu.info.name} ${JSON.stringify([...gpu.variants].sort())} ${VERSION}`;
  const rows = await readJsonl(config.rows, { dropUnfinished: true }).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  const finished = new Set(rows.map(({ value }) => (value as MeasuredRun).run));
  const contents = new Map<string, Promise<string>>();
  const content = (path: string) => {
    if (!contents.has(path)) contents.set(path, Deno.readFile(path).then(sha256, ifMissing));
    return contents.get(path)!;
  };
  let done = 0;
  let model: Model | undefined;
  let laboratory: Laboratory | undefined;
  try {
    const known = await Promise.all(runs.map(async (run) => {
      const files = await filesOf(run, config.measures);
      const parts = [runIdentity(withoutPaths(run)), ...await Promise.all(files.map(content)), place];
      return { run, hash: (await sha256(new TextEncoder().encode(parts.join("\n")))).slice(0, 16) };
    }));
    done = known.filter(({ hash }) => finished.has(hash)).length;
    for (const { run, hash } of known) {
      if (finished.has(hash)) continue;
      if (stopped()) return;
      if (model?.source.name !== run.model) {
        model?.[Symbol.dispose]();
        model = await loadModel(run.model, { gpu });
        laboratory = new Laboratory(model, config.measures);
      }
      const events: RunEvent[] = [];
      const out = `${config.work}/${hash}`;
      const measuring = laboratory!.measure(hash, { ...run, out }, {
        stopped,
        resume: true,
        onEvent: (event) => events.push(event),
      });
      let row: MeasuredRun | undefined;
      let over = false;
      const ended = measuring.then((made) => [row, over] = [made, true], (error) => {
        over = true;
        throw error;
      });
      while (!over) {
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 250))]);
        const event = events.splice(0).at(-1);
        if (event && !over) yield { done, total: runs.length, run, event };
      }
      await ended;
      if (!row) return;
      appendLine(config.rows, { ...row, config: run });
      await Deno.remove(out, { recursive: true }).catch(() => {});
      yield { done: ++done, total: runs.length, run, row: { ...row, config: run } };
    }
  } finally {
    model?.[Symbol.dispose]();
  }
}

/** The settings of a run with the paths taken out, whose contents stand for them. */
function withoutPaths(run: SweepRun): SweepRun {
  const { init: _, evaluation, ...rest } = run;
  return { ...rest, model: "", data: "", ...(evaluation && { evaluation: { ...evaluation, data: "" } }) };
}

/** All files that a run reads: what it trains and is measured on, the model's, and the starting factors. */
async function filesOf(run: SweepRun, measures: Measures): Promise<string[]> {
  const folder = await resolveModel(run.model);
  using weights = await openModelTensors(folder);
  const init = ["adapter_config.json", "adapter_model.safetensors"].map((name) => `${run.init}/${name}`);
  return [
    ...[run.data, run.evaluation?.data ?? run.data],
    ...Object.keys(measures).sort().map((name) => measures[name as keyof Measures]!),
    ...[`${folder}/config.json`, ...weights.paths, `${folder}/tokenizer.json`],
    ...(run.init === undefined ? [] : init),
  ];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ifMissing(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "none";
  throw error;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((b) =>
    b.toString(16).padStart(2, "0")
  )
    .join("");
}
