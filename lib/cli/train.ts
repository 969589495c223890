import type { Adapter } from "../adapters/adapter.ts";
import { type ImportanceScores, importanceScores } from "../adapters/importance_scores.ts";
import { methodNames } from "../adapters/methods.ts";
import type { MethodOptions } from "../adapters/options.ts";
import type { QuantizedDType } from "../core/quantize.ts";
import type { Schedule } from "../optim/schedule.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { trainRun } from "../train/run.ts";
import type { RunConfig } from "../train/run_config.ts";
import type { CutRows } from "../train/run_event.ts";
import { DivergedError } from "../train/train.ts";
import { checkAdapter } from "./adapter_folder.ts";
import type { Arguments } from "./args.ts";
import {
  checkInputs,
  type Command,
  describeCut,
  interruption,
  MODEL_HELP,
  openGpu,
  progressBar,
  StoppedError,
} from "./command.ts";

/** `olora train`: fine-tunes a model and writes adapter, metrics.jsonl and, when stopped, a checkpoint. */
export const train: Command = {
  summary: "fine-tune a model; writes the adapter, metrics.jsonl and checkpoints",
  usage: "--model M --data D --out DIR [options]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    data: {
      type: "text",
      value: "D",
      help: ".jsonl, .json, .parquet or .txt, also on the hub (see the README)",
    },
    out: { type: "text", value: "DIR", help: "folder for what is made" },
    method: { type: "text", value: "NAME", help: `${methodNames.join(", ")} (default olora)` },
    rank: { type: "number", value: "R", help: "rank (default 8)" },
    alpha: { type: "number", value: "A", help: "scale is alpha / rank (default the rank)" },
    targets: {
      type: "text",
      value: "T",
      help: "q_proj,v_proj (default), all-linear, or a regular expression for whole module paths",
    },
    freeze: { type: "text", value: "A|B", help: "factor that is not trained (default none)" },
    feedforward: {
      type: "text",
      value: "T",
      help: "flora with freeze B: targets whose inputs are scaled, as in IA³",
    },
    basis: {
      type: "text",
      value: "B",
      help: "olora: first (default), last, permuted or pivoted columns, random, or rows",
    },
    balance: { type: "number", value: "D", help: "olora: start at B D and A / D (default 1)" },
    "no-subtract": { type: "flag", help: "olora: start away from the base, nothing being subtracted" },
    keep: { type: "text", value: "K", help: "olora: orthonormal, to make B so again after each update" },
    norm: { type: "text", value: "M", help: "lora: olora, to start with the norm that its A has" },
    magnitude: { type: "flag", help: "olora, pissa, lora-ga: train the lengths of the rows too, as in dora" },
    ratio: { type: "number", value: "X", help: "lora+: learning rate of B over that of A (default 16)" },
    iterations: {
      type: "number",
      value: "N",
      help: "pissa: rounds of subspace iteration in place of a whole decomposition",
    },
    type: { type: "number", value: "T", help: "mora: 1 adds up groups, 6 turns each (default)" },
    gamma: { type: "number", value: "G", help: "lora-ga: the start's size falls with its root (default 16)" },
    stable: { type: "text", value: "S", help: "lora-ga: peft (default) or paper, what sizes the factors" },
    rho: { type: "number", value: "X", help: "eva: largest rank of a layer over the rank (default 2)" },
    "start-batches": {
      type: "number",
      value: "N",
      help: "lora-ga, eva: batches that the start looks at (default 8)",
    },
    "target-rank": {
      type: "number",
      value: "R",
      help: "adalora, lora2: rank at the end, on average over the layers (default two thirds of the rank)",
    },
    "init-warmup": {
      type: "number",
      value: "N",
      help: "adalora, lora2, alora: updates before ranks are cut (default a tenth)",
    },
    "final-warmup": {
      type: "number",
      value: "N",
      help: "adalora, lora2, alora: updates after the last cut (default three tenths)",
    },
    "mask-interval": {
      type: "number",
      value: "N",
      help: "adalora, lora2, alora: updates between two cuts (default 10; alora: eight cuts)",
    },
    orthogonality: {
      type: "number",
      value: "X",
      help: "adalora, lora2: weight of the factors' distance from orthonormal ones (default 0.1)",
    },
    "inner-rank": {
      type: "number",
      value: "K",
      help: "lora2: rank of its singular vectors' products (default 8)",
    },
    "max-rank": {
      type: "number",
      value: "R",
      help: "alora: most ranks that a layer can get (default twice the rank)",
    },
    moves: {
      type: "number",
      value: "N",
      help: "alora: ranks that go to other layers at a time (default one for each layer)",
    },
    "merge-interval": {
      type: "number",
      value: "N",
      help: "remora: updates between two merges, where training begins anew (default a fifth)",
    },
    "restart-warmup": {
      type: "number",
      value: "N",
      help: "remora: updates of warm-up after each merge (default 0)",
    },
    quantize: {
      type: "text",
      value: "T",
      help:
        "nf4, int8, q8_0 or q4_0: the base's linear layers, after loading; less the start of olora, pissa, milora, " +
        "lora-ga or loftq, and then the base is written to DIR/base, which its adapter belongs to",
    },
    "no-mask-prompt": { type: "flag", help: "prompts count in the loss as completions do" },
    dropout: { type: "number", value: "P", help: "dropout of the branch's input (default 0)" },
    init: { type: "text", value: "DIR", help: "start factors, a PEFT adapter folder" },
    steps: { type: "number", value: "N", help: "updates (default 200; batches already made: all of them)" },
    "batch-size": { type: "number", value: "N", help: "sequences of a batch (default 8)" },
    "seq-len": { type: "number", value: "N", help: "longest sequence, predicted tokens (default 128)" },
    "learning-rate": { type: "number", value: "X", help: "peak learning rate (default 1e-3)" },
    schedule: { type: "text", value: "S", help: "constant (default), linear or cosine, after warm-up" },
    warmup: { type: "number", value: "N", help: "updates of warm-up (default 0)" },
    "weight-decay": { type: "number", value: "X", help: "decoupled weight decay (default 0)" },
    clip: { type: "number", value: "X", help: "gradient norm to clip to, 0 for none (default 0)" },
    accumulate: { type: "number", value: "N", help: "batches of one update (default 1)" },
    recompute: {
      type: "flag",
      help: "make activations again in the backward pass: less memory, the same bits",
    },
    seed: { type: "number", value: "N", help: "seed of data order, random starts and dropout (default 0)" },
    "eval-data": { type: "text", value: "D", help: "held-out rows to score while training" },
    "eval-every": { type: "number", value: "N", help: "updates between evaluations (default 50)" },
    "eval-rows": { type: "number", value: "N", help: "only the first rows (default all)" },
    "checkpoint-every": {
      type: "number",
      value: "N",
      help: "updates between checkpoints, 0 for only when stopped (default 200)",
    },
    resume: { type: "flag", help: "go on from the checkpoint in --out, if there is one" },
  },

  async run(args, output) {
    const config = runConfig(args);
    const read = await checkAdapter(config.init, output);
    await checkInputs(config.model, config.data, config.evaluation?.data);
    if (await Deno.stat(config.out).then(({ isFile }) => isFile, () => false)) {
      throw new RangeError(`Cannot write to ${config.out}: found a file, expected a folder or nothing`);
    }
    const place = `${config.out}/checkpoint`;
    const before = await readCheckpoint(place);
    if (before && !args.flag("resume")) {
      throw new RangeError(
        `Cannot train into ${config.out}: found a run stopped at step ${before.step}; add --resume, or remove ${place}`,
      );
    }
    using gpu = await openGpu(output);
    using signal = interruption(() => output.note("\nStopping after this update."));
    const bar = progressBar();
    let resumedAt: number | undefined;
    let last = { step: 0, steps: 0 };
    let loss: number | undefined;
    let evaluation: number | undefined;
    let finished = false;
    let trainable: number | undefined;
    const cut: CutRows[] = [];
    let scores: ImportanceScores | undefined;
    try {
      const control = {
        gpu,
        resume: args.flag("resume"),
        stopped: signal.stopped,
        onAttached: (adapter: Adapter) => {
          trainable = adapter.trainable;
          scores = importanceScores(adapter);
        },
      };
      for await (const event of trainRun(config, control)) {
        last = event;
        loss = event.loss ?? loss;
        evaluation = event.evaluation ?? evaluation;
        finished = event.finished ?? false;
        if (event.cut) {
          cut.push(event.cut);
          output.note(describeCut(event.cut));
        }
        if (event.loss === undefined) continue;
        resumedAt ??= event.step - 1;
        const extra = [`loss ${event.loss.toFixed(4)}`, evaluation && `held out ${evaluation.toFixed(4)}`];
        bar.update({
          done: event.step,
          total: event.steps,
          resumedAt,
          extra: extra.filter(Boolean).join("  "),
        });
      }
    } catch (error) {
      bar.finish();
      if (!(error instanceof DivergedError)) throw error;
      const stored = await readCheckpoint(place);
      const good = stored
        ? `the last good checkpoint is ${stored.folder} at step ${stored.step}`
        : "there is no checkpoint";
      throw new DivergedError(error.record, good);
    }
    bar.finish();
    if (!finished) {
      throw new StoppedError(
        `Cannot finish: stopped at step ${last.step} of ${last.steps}; go on with the same command and --resume`,
      );
    }
    output.say(
      trainable === undefined
        ? `${config.out} was finished before: ${last.steps} steps`
        : `Trained ${trainable} numbers for ${last.steps} steps; wrote ${config.out}`,
    );
    if (scores) {
      output.say(`${scores.own} importance scores; adalora's are ${scores.adalora} for these layers`);
    }
    return {
      device: gpu.info.name,
      software: gpu.info.isSoftware,
      out: config.out,
      ...read,
      steps: last.steps,
      ...(trainable !== undefined && { trainable }),
      ...(cut.length && { cut }),
      ...(scores && { importanceScores: scores }),
      loss: loss ?? null,
      ...(evaluation !== undefined && { evaluation }),
    };
  },
};

/** The run that the options ask for; what is not given keeps the run's own defaults. */
function runConfig(args: Arguments): RunConfig & { out: string } {
  const data = args.text("eval-data");
  const rows = args.number("eval-rows");
  const given = {
    method: args.text("method"),
    rank: args.number("rank"),
    alpha: args.number("alpha"),
    targets: targetsOf(args.text("targets")),
    freeze: args.text("freeze") as MethodOptions["freeze"],
    feedforward: targetsOf(args.text("feedforward")),
    basis: args.text("basis") as MethodOptions["basis"],
    balance: args.number("balance"),
    subtract: args.flag("no-subtract") ? false : undefined,
    keep: args.text("keep") as MethodOptions["keep"],
    norm: args.text("norm") as MethodOptions["norm"],
    magnitude: args.flag("magnitude") || undefined,
    ratio: args.number("ratio"),
    iterations: args.number("iterations"),
    type: args.number("type") as MethodOptions["type"],
    gamma: args.number("gamma"),
    stable: args.text("stable") as MethodOptions["stable"],
    rho: args.number("rho"),
    startBatches: args.number("start-batches"),
    targetRank: args.number("target-rank"),
    initWarmup: args.number("init-warmup"),
    finalWarmup: args.number("final-warmup"),
    maskInterval: args.number("mask-interval"),
    orthogonality: args.number("orthogonality"),
    innerRank: args.number("inner-rank"),
    maxRank: args.number("max-rank"),
    moves: args.number("moves"),
    mergeInterval: args.number("merge-interval"),
    restartWarmup: args.number("restart-warmup"),
    quantize: args.text("quantize") as QuantizedDType | undefined,
    maskPrompt: args.flag("no-mask-prompt") ? false : undefined,
    dropout: args.number("dropout"),
    init: args.text("init"),
    steps: args.number("steps"),
    batchSize: args.number("batch-size"),
    seqLen: args.number("seq-len"),
    learningRate: args.number("learning-rate"),
    schedule: args.text("schedule") as Schedule | undefined,
    warmup: args.number("warmup"),
    weightDecay: args.number("weight-decay"),
    clip: args.number("clip"),
    accumulate: args.number("accumulate"),
    recompute: args.flag("recompute") || undefined,
    seed: args.number("seed"),
    checkpointEvery: args.number("checkpoint-every") ?? 200,
    evaluation: data === undefined
      ? undefined
      : { data, every: args.number("eval-every") ?? 50, ...(rows !== undefined && { rows }) },
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { model: args.required("model"), data: args.required("data"), out: args.required("out"), ...set };
}

/** `all-linear`, a list of names, or a regular expression: what has other signs than names and commas. */
export function targetsOf(text: string | undefined): string | string[] | undefined {
  if (text === undefined || text === "all-linear" || /[^\w,.-]/.test(text)) return text;
  return text.split(",").filter((name) => name !== "");
}
