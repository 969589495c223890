import { assertEquals } from "@std/assert";
import { adamw, clipFactor, globalNorm } from "../../lib/reference/adamw.ts";
import { type Adapters, decoder, decoderBackward, type Weights } from "../../lib/reference/decoder.ts";
import { expectClose } from "../helpers/close.ts";
import {
  batches,
  type FixtureModel,
  type FixtureRun,
  modelFolder,
  referenceModel,
  referenceStart,
  runs,
  variants,
} from "../helpers/fixtures.ts";

/**
 * Both sides compute in float64; Adam divides a gradient by its own size, so a rounding error of eps in a small entry
 * of the gradient moves a weight by that much relative to the gradient's size, 20 times over.
 */
const TOLERANCE = 1e4 * Number.EPSILON;

/** The arrays that `run` trains, under the names of their gradients. */
function trainable(run: FixtureRun, weights: Weights, adapters: Adapters): Record<string, Float64Array> {
  if (run.config.method === "full") return weights;
  const arrays: Record<string, Float64Array> = {};
  for (const [name, adapter] of Object.entries(adapters)) {
    const { a, b } = adapter;
    if ("magnitude" in adapter) arrays[`${name}.lora_magnitude`] = adapter.magnitude;
    if (run.config.freeze !== "A") arrays[`${name}.lora_A`] = a;
    if (run.config.freeze !== "B") arrays[`${name}.lora_B`] = b;
  }
  return arrays;
}

async function train(model: FixtureModel, folder: string, run: FixtureRun) {
  const { config, weights } = await referenceModel(folder);
  const adapters = await referenceStart(model, run, { config, weights });
  const data = await batches(model);
  const { accumulate, clip, steps, weightDecay } = run.config;
  const arrays = trainable(run, weights, adapters);
  const moments: Record<string, { m: Float64Array; v: Float64Array }> = Object.fromEntries(
    Object.entries(arrays).map((
      [name, x],
    ) => [name, { m: new Float64Array(x.length), v: new Float64Array(x.length) }]),
  );
  const evaluate = (texts: number[][]) => {
    const batch = { b: texts.length, t: texts[0].length, ids: Int32Array.from(texts.flat()) };
    return { batch, forward: decoder(weights, config, batch, adapters) };
  };

  const losses: number[] = [];
  const gradientNorms: number[] = [];
  for (let step = 0; step < steps; step++) {
    const sums: Record<string, Float64Array> = {};
    let loss = 0;
    for (const texts of data.slice(step * accumulate, (step + 1) * accumulate)) {
      const { batch, forward } = evaluate(texts);
      loss += forward.loss / accumulate;
      const gradients = decoderBackward(weights, config, batch, forward, adapters);
      for (const name of Object.keys(arrays)) {
        const sum = sums[name] ??= new Float64Array(arrays[name].length);
        gradients[name].forEach((g, i) => sum[i] += g / accumulate);
      }
    }
    losses.push(loss);
    const norm = globalNorm(Object.values(sums));
    gradientNorms.push(norm);
    const factor = clipFactor(norm, clip);
    for (const [name, parameters] of Object.entries(arrays)) {
      const gradient = sums[name].map((g) => g * factor);
      const next = adamw({ parameters, ...moments[name] }, gradient, {
        learningRate: run.learningRates[step],
        step: step + 1,
        weightDecay,
      });
      parameters.set(next.parameters);
      moments[name] = next;
    }
  }
  const trained = Object.values(arrays).reduce((sum, x) => sum + x.length, 0);
  return { losses, gradientNorms, after: evaluate(data[0]).forward.loss, trained };
}

const models: Record<FixtureModel, string[]> = {
  llama_tied: [
    "lora_qv",
    "lora_all",
    "olora",
    "olora_half",
    "olora_freeze_b",
    "olora_freeze_a",
    "full",
    "lora_decay_clip_cosine",
    "olora_accumulate",
    "dora",
    "olora_dora",
  ],
  llama_untied: ["lora_all", "olora", "full"],
  stories260k: ["lora_all", "olora_half", "full"],
};

for (const [model, names] of Object.entries(models) as [FixtureModel, string[]][]) {
  const folder = modelFolder(model);
  for (const name of names) {
    Deno.test({
      name: `decoder() trained with adamw() gives PEFT's and PyTorch's losses: ${name} on ${model}`,
      ignore: folder === undefined,
      async fn() {
        const run = { ...await runs(model), ...await variants() }[name];
        const { losses, gradientNorms, after, trained } = await train(model, folder!, run);
        assertEquals(trained, run.trainable);
        const expected = [...run.losses, run.after];
        expectClose([...losses, after], expected, expected.map((loss) => TOLERANCE * loss), "losses");
        expectClose(
          gradientNorms,
          run.gradientNorms,
          run.gradientNorms.map((norm) => TOLERANCE * norm),
          "norms",
        );
      },
    });
  }
}
