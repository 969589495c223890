import { GpuError } from "../core/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { parseRows } from "../io/data_file.ts";
import { fetchConfig, type FetchOptions } from "../io/hub.ts";
import { isHubName, parseHubName } from "../io/hub_name.ts";
import type { MemoryPlan } from "../train/memory.ts";
import { EVALUATED_ROWS, reserveRun } from "../train/run.ts";
import type { RunConfig } from "../train/run_config.ts";
import type { SweepConfig, SweepRun } from "./sweep.ts";

/** Runs that take the same memory, and what that is. */
export interface MemoryNeed {
  /** The runs. */
  readonly runs: readonly SweepRun[];
  /** Device bytes of one of them; absent where it cannot be made here. */
  readonly plan?: MemoryPlan;
  /** Why it cannot be made here, in one line: the device lacks the memory, or the model is out of reach. */
  readonly refusal?: string;
}

/** How memory is asked for. */
export interface MemoryControl {
  /** Device to ask, with nothing on it yet. */
  readonly gpu: Gpu;
  /** Files whose batches are evaluated. */
  readonly measures: Pick<SweepConfig["measures"], "validation">;
  /** Fetches a model and gives its place. */
  find(model: string): Promise<string>;
  /** As for a download. */
  readonly options?: FetchOptions;
}

/** Settings that change nothing about memory. */
const FREE = [
  "learningRate",
  "seed",
  "steps",
  "warmup",
  "schedule",
  "weightDecay",
  "clip",
  "permutation",
] as const;

/**
 * What the runs of a sweep take, training and evaluations, asked of the device before the first is made; of a model on the
 * hub by its config.json, so that one that does not fit is not fetched.
 *
 * @throws {RangeError} If a run's settings make no sense.
 */
export async function* memoryNeeds(
  runs: readonly SweepRun[],
  { gpu, measures, find, options = {} }: MemoryControl,
): AsyncGenerator<MemoryNeed> {
  const places = new Map<string, Promise<string>>();
  const once = (key: string, place: () => Promise<string>) => {
    if (!places.has(key)) places.set(key, place());
    return places.get(key)!;
  };
  const { from, to } = parseRows(measures.validation);
  const evaluated = Math.min(EVALUATED_ROWS, to - from);
  for (const [run, ...others] of Map.groupBy(runs, kind).values()) {
    const alike = [run, ...others];
    try {
      const { model } = run;
      const isFolderOnHub = isHubName(model) && parseHubName(model).file === undefined;
      const known = isFolderOnHub ? once(`config ${model}`, () => fetchConfig(model, options)) : undefined;
      const folder = (await known)?.replace(/[/\\][^/\\]*$/, "") ?? await once(model, () => find(model));
      const plan = await reserveRun(gpu, run, { folder, evaluated, keepsModel: true });
      await once(model, () => find(model));
      yield { runs: alike, plan };
    } catch (error) {
      if (!REFUSALS.some((type) => error instanceof type)) throw error;
      yield { runs: alike, refusal: (error as Error).message };
    }
  }
}

/** What is no fault of the settings: memory, access and the network. */
const REFUSALS = [
  GpuError,
  Deno.errors.NotFound,
  Deno.errors.PermissionDenied,
  Deno.errors.NotConnected,
  Deno.errors.Http,
];

/** What a sweep says of its memory, in one line. */
export function describeNeed({ runs, plan, refusal }: MemoryNeed): string {
  const [{ model, method, rank }] = runs;
  const count = runs.length === 1 ? "1 run" : `${runs.length} runs`;
  if (!plan) return `left out, ${count} of ${method}${rank ? ` r ${rank}` : ""}: ${refusal}`;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;
  return `${count} of ${method}${rank ? ` r ${rank}` : ""} on ${model}: ${gigabytes(plan.total)} of memory (${
    gigabytes(plan.weights)
  } of weights, ${gigabytes(plan.update)} for an update or evaluation)`;
}

function kind(run: RunConfig): string {
  const { evaluation: _, data: __, ...rest } = run;
  return JSON.stringify({ ...rest, ...Object.fromEntries(FREE.map((name) => [name, undefined])) });
}
