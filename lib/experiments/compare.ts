import type { AttachOptions } from "../adapters/attach.ts";
import { resolveOptions } from "../adapters/options.ts";
import { VERSION } from "../core/version.ts";
import type { Model } from "../nn/model.ts";
import { settleVariants } from "../ops/variants.ts";
import { identify } from "./identity.ts";
import type { MeasuredRun } from "./measure.ts";
import { readRows } from "./parts.ts";
import { bestRate, bracket, LOOKS, nextRate } from "./rate_search.ts";
import { type Split, splitData } from "./split.ts";
import { sweep, type SweepConfig, type SweepRun } from "./sweep.ts";

/** A method to be compared: its name, or its settings. */
export type Contender = string | Omit<AttachOptions, "init" | "seed">;

/** Options of `compare`. */
export interface CompareOptions {
  /** What is compared; the first is what the verdicts are about. */
  readonly methods: readonly Contender[];
  /**
   * Runs of each method, at least 2. From 10 on up to 7 look for its learning rate, as many as it takes to have two tried
   * rates on either side of the best; the others repeat it with fresh seeds. Of fewer than 10 half look, which may be too
   * few for a verdict: it is then inconclusive.
   */
  readonly budget: number;
  /** Rank, alpha and targets of methods given by name; as in `attach`, but targets "all-linear". */
  readonly rank?: number;
  /** α. Default the rank. */
  readonly alpha?: number;
  /** Layers to adapt. Default "all-linear". */
  readonly targets?: string | readonly string[];
  /** Updates of a run. Default 200. */
  readonly steps?: number;
  /** Sequences of a batch. Default 8. */
  readonly batchSize?: number;
  /** Longest sequence, predicted tokens. Default 128, or the model's context. */
  readonly seqLen?: number;
  /** Held-out rows instead of a tenth of the data, on which rates are chosen. */
  readonly validation?: string;
  /** Held-out rows instead of another tenth, on which methods are compared. */
  readonly test?: string;
  /** Seed of the split; runs take seeds from it on. Default 0. */
  readonly seed?: number;
  /** Folder for the split, rows and checkpoints; a comparison with the same folder goes on where it was. Default "out/compare". */
  readonly out?: string;
  /** Ends the comparison after the update at hand. */
  readonly signal?: AbortSignal;
  /** Hears how it goes. */
  readonly onProgress?: (progress: CompareProgress) => void;
}

/** How a comparison goes. */
export interface CompareProgress {
  /** Runs finished, with the part of the one at hand that is done. */
  readonly done: number;
  /** Runs in all. */
  readonly total: number;
  /** The run at hand. */
  readonly run: SweepRun;
}

/** What a comparison found of one method. */
export interface ComparedMethod {
  /** Its own learning rate. */
  readonly learningRate: number;
  /** Whether two tried rates lie on either side of it. */
  readonly counts: boolean;
  /** The runs that looked for it. */
  readonly search: readonly MeasuredRun[];
  /** The runs at that rate with fresh seeds, the same for all methods. */
  readonly runs: readonly MeasuredRun[];
}

/** Runs of a method that are enough for a verdict: the looks that any search may take, and three pairs of fresh seeds. */
const ENOUGH = LOOKS + 3;

/**
 * Compares methods on a model and data of one's own: each method's learning rate is looked for on validation rows and one
 * seed, until two tried rates lie on either side of it; at that rate it is run again with fresh seeds, as many for each
 * method as the longest search leaves of the budget, and the test rows decide. A best rate at the end of the rates
 * tried, 1e-6 to 1, leaves the verdicts open.
 *
 * @param data A data file (`loadDataset`); a tenth of it is kept for validation and a tenth for the test, unless given.
 * @returns One entry a method, in the order of `methods`; undefined if stopped.
 * @throws {RangeError} If the budget is less than 2 runs, fewer than two methods are given, or a setting makes no sense.
 *
 * @example Usage
 * ```ts ignore
 * import { compare, comparisonText, loadModel, openDevice } from "@olora/kit";
 *
 * using gpu = await openDevice();
 * using model = await loadModel("tiny", { gpu });
 * const found = await compare(model, "my.jsonl", { methods: ["olora", "lora"], budget: 12 });
 * if (found) console.log(comparisonText(found));
 * ```
 */
export async function compare(
  model: Model,
  data: string,
  options: CompareOptions,
): Promise<ComparedMethod[] | undefined> {
  const { budget, methods, out = "out/compare", seed = 0, signal } = options;
  if (!Number.isSafeInteger(budget) || budget < 2) {
    throw new RangeError(
      `Cannot compare with a budget of ${budget} runs a method: expected at least 2, one to look for its learning rate ` +
        `and one with a fresh seed; ${ENOUGH} are enough for a verdict`,
    );
  }
  const most = budget < ENOUGH ? Math.ceil(budget / 2) : LOOKS;
  if (methods.length < 2) {
    throw new RangeError(`Cannot compare ${methods.length} method: expected at least two`);
  }
  const names = methods.map((method) => JSON.stringify(typeof method === "string" ? { method } : method));
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice) {
    throw new RangeError(`Cannot compare ${twice} with itself: expected different methods or settings`);
  }
  const files = await filesOf(data, { ...options, out });
  const settings = methods.map((method) => settingsOf(method, options, files, model));
  const total = budget * methods.length;
  const config: SweepConfig = {
    base: {},
    grid: [],
    measures: { validation: files.validation, test: files.test },
    rows: `${out}/rows.jsonl`,
    work: `${out}/work`,
  };
  let done = 0;
  const control = { gpu: model.gpu, model, stopped: () => signal?.aborted ?? false };
  const measured = async (run: SweepRun): Promise<MeasuredRun | undefined> => {
    for await (const { event } of sweep(config, [run], control)) {
      if (event) options.onProgress?.({ done: done + event.step / event.steps, total, run });
    }
    options.onProgress?.({ done: ++done, total, run });
    const [hash] = await (await identify([run], config.measures)).hashes({
      device: model.gpu.info.name,
      variants: settleVariants(model.gpu),
      version: VERSION,
    });
    return (await readRows(config.rows)).find((row) => row.run === hash);
  };

  const searches: MeasuredRun[][] = [];
  for (const each of settings) {
    const tried = new Map<number, number>();
    const search: MeasuredRun[] = [];
    for (let rate = nextRate(tried); rate !== undefined && search.length < most; rate = nextRate(tried)) {
      const row = await measured({ ...each, learningRate: rate, seed });
      if (!row) return undefined;
      tried.set(rate, row.diverged ? NaN : row.final.validation ?? NaN);
      search.push(row);
    }
    searches.push(search);
  }
  const looks = Math.max(...searches.map(({ length }) => length));
  done = looks * methods.length;
  const found: ComparedMethod[] = [];
  for (const [i, each] of settings.entries()) {
    const tried = new Map(searches[i].map((row) => [row.config.learningRate, lossOf(row)]));
    const learningRate = bestRate(tried)!;
    const runs: MeasuredRun[] = [];
    for (let fresh = 1; fresh <= budget - looks; fresh++) {
      const row = await measured({ ...each, learningRate, seed: seed + fresh });
      if (!row) return undefined;
      runs.push(row);
    }
    found.push({ learningRate, counts: bracket(tried).counts, search: searches[i], runs });
  }
  return found;
}

function lossOf({ diverged, final }: MeasuredRun): number {
  return diverged ? NaN : final.validation ?? NaN;
}

async function filesOf(
  data: string,
  { validation, test, out, seed = 0 }: CompareOptions & { out: string },
): Promise<Split> {
  if (validation !== undefined && test !== undefined) return { train: data, validation, test };
  const split = await splitData(data, `${out}/data`, seed);
  return {
    ...split,
    ...(validation !== undefined && { validation }),
    ...(test !== undefined && { test }),
  };
}

/** The run of a method without its rate and seed. */
function settingsOf(
  method: Contender,
  options: CompareOptions,
  { train, validation }: Split,
  model: Model,
): Omit<SweepRun, "learningRate" | "seed"> {
  const { rank, alpha, targets = "all-linear", steps = 200, batchSize, seqLen } = options;
  const own = typeof method === "string" ? { method } : method;
  const isFull = own.method === "full";
  const shared = isFull ? {} : {
    targets,
    ...(rank !== undefined && { rank }),
    ...(alpha !== undefined && { alpha }),
  };
  const adapter = { ...shared, ...own };
  resolveOptions(adapter);
  return {
    model: model.source.name,
    data: train,
    steps,
    ...(batchSize !== undefined && { batchSize }),
    ...(seqLen !== undefined && { seqLen }),
    warmup: Math.ceil(steps / 20),
    clip: 1,
    evaluation: { data: validation, every: Math.max(1, Math.ceil(steps / 20)), rows: 256 },
    ...adapter,
    method: adapter.method ?? "olora",
  };
}
