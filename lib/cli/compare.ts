import {
  type ComparedRuns,
  comparisonFigure,
  comparisonText,
  comparisonVerdicts,
} from "../display/comparison.ts";
import { svgFigure } from "../display/svg.ts";
import { compare as compareMethods } from "../experiments/compare.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { loadModel } from "../nn/model.ts";
import {
  checkInputs,
  type Command,
  interruption,
  MODEL_HELP,
  openGpu,
  progressBar,
  StoppedError,
} from "./command.ts";
import { targetsOf } from "./train.ts";

/** `olora compare`: each method at its own best rate, fresh seeds, a verdict. */
export const compare: Command = {
  summary: "each method at its own best rate, fresh seeds, a verdict",
  usage: "--model M --data D --methods olora,lora --budget N [options]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    data: { type: "text", value: "D", help: ".jsonl, .txt or .json; a tenth is kept for each held-out part" },
    methods: { type: "text", value: "A,B", help: "what is compared; verdicts are about the first" },
    budget: {
      type: "number",
      value: "N",
      help:
        "runs of each method: of 10 or more up to 7 find its rate, of fewer half, too few for most verdicts; the others have fresh seeds",
    },
    out: {
      type: "text",
      value: "DIR",
      help: "folder for rows, figure and checkpoints (default out/compare)",
    },
    validation: {
      type: "text",
      value: "D",
      help: "rows to choose rates on, in place of a tenth of the data",
    },
    test: { type: "text", value: "D", help: "rows to compare on, in place of another tenth" },
    rank: { type: "number", value: "R", help: "rank (default 8)" },
    alpha: { type: "number", value: "A", help: "scale is alpha / rank (default the rank)" },
    targets: { type: "text", value: "T", help: "as in train, but all-linear by default" },
    steps: { type: "number", value: "N", help: "updates of a run (default 200)" },
    "batch-size": { type: "number", value: "N", help: "sequences of a batch (default 8)" },
    "seq-len": { type: "number", value: "N", help: "longest sequence, predicted tokens (default 128)" },
    seed: { type: "number", value: "N", help: "first seed (default 0)" },
  },

  async run(args, output) {
    const [name, data] = [args.required("model"), args.required("data")];
    await checkInputs(name, data, args.text("validation"), args.text("test"));
    const out = args.text("out") ?? "out/compare";
    using gpu = await openGpu(output);
    using model = await loadModel(name, { gpu });
    const controller = new AbortController();
    using _signal = interruption(() => {
      output.note("\nStopping after this update; the same command goes on.");
      controller.abort();
    });
    const bar = progressBar();
    let resumedAt: number | undefined;
    const given = {
      rank: args.number("rank"),
      alpha: args.number("alpha"),
      targets: targetsOf(args.text("targets")),
      steps: args.number("steps"),
      batchSize: args.number("batch-size"),
      seqLen: args.number("seq-len"),
      validation: args.text("validation"),
      test: args.text("test"),
      seed: args.number("seed"),
    };
    const found = await compareMethods(model, data, {
      methods: args.required("methods").split(",").filter((method) => method !== ""),
      budget: Number(args.required("budget")),
      out,
      signal: controller.signal,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      onProgress({ done, total, run }) {
        resumedAt ??= Math.floor(done);
        bar.update({
          done,
          total,
          resumedAt,
          label: `${run.method} ${run.learningRate} seed ${run.seed}`,
          unit: "run",
        });
      },
    });
    bar.finish();
    if (!found) throw new StoppedError("Cannot finish: stopped; the same command goes on where it was");
    if (!found.every(({ counts }) => counts)) {
      output.note(
        "A best rate lacks two tried rates on either side; a budget of 10 runs or more looks further.",
      );
    }
    const rows = found as unknown as ComparedRuns[];
    output.say(comparisonText(rows));
    await writeFileAtomic(`${out}/comparison.svg`, svgFigure(comparisonFigure(rows)));
    output.say(`\nFigure and rows: ${out}`);
    return {
      device: gpu.info.name,
      software: gpu.info.isSoftware,
      out,
      methods: found.map(({ learningRate, counts, search, runs }) => ({
        method: runs[0].config.method,
        learningRate,
        counts,
        search: search.map(({ config, final }) => ({
          learningRate: config.learningRate,
          validation: final.validation,
        })),
        test: runs.map(({ final }) => final.test),
      })),
      verdicts: comparisonVerdicts(rows),
    };
  },
};
