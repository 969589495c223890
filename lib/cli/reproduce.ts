import { type RunRow, runsAtBestRate } from "../display/rows.ts";
import { Laboratory, type MeasuredRun } from "../experiments/measure.ts";
import { limitSweep } from "../experiments/limit.ts";
import { type Cost, planHorizon } from "../experiments/plan.ts";
import { expand, type SweepConfig, type SweepRun } from "../experiments/sweep.ts";
import { readSweep } from "../experiments/sweep_file.ts";
import { VERSION } from "../core/version.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { readJsonIfAny } from "../io/json_file.ts";
import { appendLine, readJsonl } from "../io/jsonl.ts";
import { loadModel, type Model } from "../nn/model.ts";
import { meanLoss } from "../train/evaluate.ts";
import { evaluationBatches } from "../train/run.ts";
import {
  type Command,
  findModel,
  interruption,
  MODEL_HELP,
  openGpu,
  type Output,
  pathOf,
  progressBar,
  StoppedError,
} from "./command.ts";
import { results, resultsText, writeResults } from "./reproduce_output.ts";

const CONFIG = pathOf(new URL("../../data/experiments/convergence.json", import.meta.url));
/** Seeds of the runs made here; the sweep that chose the rates used others. */
const SEEDS = [11, 12, 13];
/** Seconds that all runs may take together, beside loading, planning and the report. */
const BUDGET = { full: 240, quick: 45 };
/** Rows of each split that a quick job is measured on at the end. */
const QUICK_ROWS = 256;
/** Rows of each split on which a run is measured that only compiles kernels: a batch of evaluation. */
const TRIAL_ROWS = 64;

/** What is decided once and kept, so that an interrupted job goes on with the same runs. */
interface Plan {
  readonly identity: string;
  readonly steps: number;
  readonly every: number;
  readonly seconds: number;
}

/** One for the runs, and one that measures less, for what is not kept. */
interface Laboratories {
  readonly laboratory: Laboratory;
  readonly trial: Laboratory;
}

/** `olora reproduce`: the main job. */
export const reproduce: Command = {
  summary: "the convergence experiment: curves, table, verdicts and a report",
  usage: "[--out DIR] [--model M] [--quick | --all]",
  options: {
    out: { type: "text", value: "DIR", help: "folder for what is made (default out/reproduce)" },
    model: {
      type: "text",
      value: "M",
      help: `default tiny; ${MODEL_HELP}`,
    },
    quick: {
      type: "flag",
      help: "short runs, measured on fewer rows: two minutes on two CPU cores after set-up",
    },
    all: { type: "flag", help: "runs of full length, whatever they take" },
  },

  async run(args, output) {
    const out = args.text("out") ?? "out/reproduce";
    const mode = args.flag("all") ? "all" : args.flag("quick") ? "quick" : "full";
    const whole = await readSweep(CONFIG);
    const measures = mode === "quick" ? limitSweep(whole, QUICK_ROWS).measures : whole.measures;
    const sweep = { ...whole, measures };
    const committed = await readRows(sweep.rows);
    const runs = bestRuns(sweep, committed, args.text("model"));
    await findModel(runs[0].model);
    using gpu = await openGpu(output);
    using model = await loadModel(runs[0].model, { gpu });
    const laboratory = new Laboratory(model, sweep.measures);
    const trial = new Laboratory(model, limitSweep(whole, TRIAL_ROWS).measures);
    using signal = interruption(() => output.note("\nStopping after this update; the same command goes on."));
    const plan = await planned(out, mode, runs, model, { laboratory, trial }, output, signal.stopped);
    const live = plan && await carryOut(out, plan, runs, laboratory, signal.stopped);
    if (!plan || !live) {
      throw new StoppedError("Cannot finish: stopped; the same command goes on where it was");
    }
    const isWhole = mode !== "quick" && plan.steps === runs[0].steps;
    const made = results(committed, live as unknown as RunRow[], isWhole);
    output.say(resultsText(made));
    await writeResults(out, made, {
      device: gpu.info.name,
      isSoftware: gpu.info.isSoftware,
      facts: {
        Date: new Date().toISOString().slice(0, 10),
        Model: model.source.name,
        Steps: String(plan.steps),
      },
    });
    output.say(`\nReport, figures, rows and adapters: ${out}`);
    return {
      device: gpu.info.name,
      software: gpu.info.isSoftware,
      out,
      steps: plan.steps,
      rows: live,
      verdicts: made.verdicts,
      note: made.note,
    };
  },
};

/** Each method's settings at its best rate, for every seed. */
function bestRuns(sweep: SweepConfig, committed: readonly RunRow[], model?: string): SweepRun[] {
  const all = expand(sweep);
  return runsAtBestRate(committed).flatMap(({ method, rate }) => {
    const settings = all.find((run) => run.method === method && run.learningRate === rate);
    if (!settings) throw new RangeError(`Cannot reproduce: ${CONFIG} has no run of ${method} at ${rate}`);
    return SEEDS.map((seed) => ({ ...settings, seed, ...(model !== undefined && { model }) }));
  });
}

async function readRows(path: string): Promise<RunRow[]> {
  return (await readJsonl(path)).map(({ value }) => value as RunRow);
}

/** The plan that was made before, or one for the time at hand; undefined if stopped. */
async function planned(
  out: string,
  mode: "all" | "quick" | "full",
  runs: readonly SweepRun[],
  model: Model,
  laboratories: Laboratories,
  output: Output,
  stopped: () => boolean,
): Promise<Plan | undefined> {
  const full = runs[0].steps!;
  const every = runs[0].evaluation!.every;
  const rates = runs.map(({ method, learningRate }) => `${method} ${learningRate}`);
  const identity = JSON.stringify([VERSION, model.source.name, model.gpu.info.name, mode, [
    ...new Set(rates),
  ]]);
  const stored = await readJsonIfAny(`${out}/plan.json`) as unknown as Plan | undefined;
  if (stored?.identity === identity) {
    output.note(`Going on: ${stored.steps} steps a run.`);
    return stored;
  }
  await Deno.remove(`${out}/metrics.jsonl`).catch(() => {});
  await Deno.remove(`${out}/adapters`, { recursive: true }).catch(() => {});
  let plan: Plan = { identity, steps: full, every, seconds: NaN };
  if (mode !== "all") {
    output.note("Measuring what a step costs.");
    const costs: Cost[] = [];
    for (const run of runs.filter(({ seed }) => seed === SEEDS[0])) {
      const cost = await costOf(run, laboratories, stopped);
      if (!cost) return undefined;
      costs.push(cost);
    }
    const batches = await evaluationBatches(
      runs[0].evaluation!.data,
      runs[0],
      model,
      runs[0].evaluation!.rows,
    );
    const begin = performance.now();
    await meanLoss(model, batches);
    const evaluation = (performance.now() - begin) / 1000;
    plan = {
      identity,
      ...planHorizon(costs, evaluation, { seeds: SEEDS.length, budget: BUDGET[mode], full, every }),
    };
    output.note(
      `${plan.steps} of ${full} steps a run, the same for all, as the time allows: about ${
        Math.round(plan.seconds)
      } s.`,
    );
  }
  await writeFileAtomic(`${out}/plan.json`, JSON.stringify(plan, null, 2) + "\n");
  return plan;
}

/** Seconds of an update and of all around it, from a short run, whose kernels a shorter one has compiled. */
async function costOf(
  run: SweepRun,
  { laboratory, trial }: Laboratories,
  stopped: () => boolean,
): Promise<Cost | undefined> {
  const short = (steps: number) => ({
    ...run,
    steps,
    warmup: 0,
    evaluation: { ...run.evaluation!, every: steps },
  });
  await trial.measure("", short(2), { stopped });
  await laboratory.prepare(run);
  const begin = performance.now();
  const row = await laboratory.measure("", short(12), { stopped });
  if (!row) return undefined;
  const seconds = (performance.now() - begin) / 1000;
  return { step: row.secondsPerStep, fixed: Math.max(0, seconds - 12 * row.secondsPerStep) };
}

/** Makes the runs that have no row yet; undefined if stopped. */
async function carryOut(
  out: string,
  plan: Plan,
  runs: readonly SweepRun[],
  laboratory: Laboratory,
  stopped: () => boolean,
): Promise<MeasuredRun[] | undefined> {
  const path = `${out}/metrics.jsonl`;
  const rows = (await readJsonl(path, { dropUnfinished: true }).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  })).map(({ value }) => value as MeasuredRun);
  const bar = progressBar();
  const total = runs.length * plan.steps;
  let resumedAt: number | undefined;
  for (const [at, run] of runs.entries()) {
    const name = `${run.method}-seed-${run.seed}`;
    if (rows.some((row) => row.run === name)) continue;
    const config = {
      ...run,
      steps: plan.steps,
      warmup: Math.min(run.warmup ?? 0, Math.floor(plan.steps / 10)),
      out: `${out}/adapters/${name}`,
    };
    const row = await laboratory.measure(name, config, {
      stopped,
      resume: true,
      onEvent: ({ step, loss }) => {
        if (loss === undefined) return;
        resumedAt ??= at * plan.steps + step - 1;
        const done = at * plan.steps + step;
        bar.update({ done, total, resumedAt, label: name, extra: `loss ${loss.toFixed(3)}`, unit: "step" });
      },
    });
    if (!row) {
      bar.finish();
      return undefined;
    }
    const { out: _, ...settings } = config;
    rows.push({ ...row, config: settings });
    appendLine(path, rows.at(-1));
  }
  bar.finish();
  return rows;
}
