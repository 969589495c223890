import { assert, assertEquals } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { selectTargets } from "../../lib/adapters/targets.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { generate } from "../../lib/nn/generate.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { globalNorm } from "../../lib/reference/adamw.ts";
import { decoder, decoderBackward, type TokenBatch } from "../../lib/reference/decoder.ts";
import { gptDecoder } from "../../lib/reference/gpt_decoder.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import {
  expected,
  type FixtureFamily,
  fixturePath,
  gptModel,
  oldFormFolder,
  referenceModel,
} from "../helpers/fixtures.ts";
import { gradientNorms } from "../helpers/gradients.ts";

/** Each with its linear layers a block. */
const FAMILIES = [
  ["llama3", 7],
  ["mistral", 7],
  ["qwen2", 7],
  ["qwen3", 7],
  ["gemma", 7],
  ["opt", 6],
  ["gpt2", 4],
] as const;
/** What the project promises: nats of a token, and of a gradient's norm, relative or of the largest tensor's. */
const [NLL, NORM, OF_LARGEST] = [1e-4, 1e-4, 1e-6];
/** float64 against float64: both sides round in another order, in sums of up to a few thousand terms. */
const DOUBLE = 1e2 * Number.EPSILON;

for (const [family, linears] of FAMILIES) {
  Deno.test(`decoder() gives transformers' nats per token and gradient norms of ${family}`, async () => {
    const { ids, nll, gradientNorms: norms } = await expected(family);
    const batch = { b: ids.length, t: ids[0].length, ids: Int32Array.from(ids.flat()) };
    const { forward, gradients } = await inDouble(family, batch);
    const flat = Float64Array.from(nll.flatMap((row) => [...row, 0]));
    expectClose(forward.nll, flat, flat.map((nats) => DOUBLE * (1 + nats)), "nats");
    assertEquals(Object.keys(gradients).sort(), Object.keys(norms).sort());
    const largest = Math.max(...Object.values(norms));
    for (const [name, norm] of Object.entries(norms)) {
      expectClose([globalNorm([gradients[name]])], [norm], DOUBLE * Math.max(norm, largest), name);
    }
  });

  Deno.test(`score(), generate() and one backward pass give what transformers gives for ${family}`, async () => {
    const gpu = await testDevice();
    const live = gpu.liveBytes;
    {
      using model = await loadModel(fixturePath(family), { gpu });
      const { ids, nll, greedy, gradientNorms: norms } = await expected(family);
      (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], NLL, `row ${i}`));
      const options = { maxNewTokens: greedy.continuation.length, stop: [] };
      assertEquals(await Array.fromAsync(generate(model, greedy.prompt, options)), greedy.continuation);
      const found = await gradientNorms(model, ids);
      assertEquals(Object.keys(found).sort(), Object.keys(norms).sort());
      const largest = Math.max(...Object.values(norms));
      for (const [name, norm] of Object.entries(norms)) {
        expectClose([found[name]], [norm], Math.max(NORM * norm, OF_LARGEST * largest), name);
      }
    }
    assertEquals(gpu.liveBytes, live);
  });

  Deno.test(`loadModel() reads ${family}'s config.json as transformers 4 and 5 write it alike`, async () => {
    const old = await oldFormFolder(family);
    try {
      const text = await Deno.readTextFile(`${old}/config.json`);
      assert(text.includes('"torch_dtype"') && !text.includes("rope_parameters"));
      assertEquals(await readModelConfig(old), await readModelConfig(fixturePath(family)));
    } finally {
      await Deno.remove(old, { recursive: true });
    }
  });

  Deno.test(`attach() finds the linear layers of ${family}, and a fresh olora leaves its nats to rounding`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu });
    const { ids, nll } = await expected(family);
    assertEquals(selectTargets(model.config, "all-linear").length, linears * model.config.layers);
    using _adapter = await attach(model, { method: "olora", rank: 2, targets: "all-linear" });
    (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], NLL, `row ${i}`));
  });

  Deno.test(`saveModel() writes a ${family} that is read again to the same bits`, async () => {
    const gpu = await testDevice();
    const { ids } = await expected(family);
    using model = await loadModel(fixturePath(family), { gpu });
    const folder = await Deno.makeTempDir();
    try {
      await saveModel(model, folder, "stored");
      using again = await loadModel(folder, { gpu });
      assertEquals(again.config, model.config);
      assertEquals(await score(again, ids), await score(model, ids));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  Deno.test(`randomPermutations() keep the nats of ${family}`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu, permutation: 3 });
    const { ids, nll } = await expected(family);
    (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], NLL, `row ${i}`));
  });
}

/** A family by its decoder of this kit in float64. */
async function inDouble(family: FixtureFamily, batch: TokenBatch) {
  const folder = fixturePath(family);
  if (family === "opt" || family === "gpt2") {
    const { config, weights } = await gptModel(folder);
    const forward = gptDecoder(weights, config, batch);
    return { forward, gradients: forward.backward() };
  }
  const { config, weights } = await referenceModel(folder);
  const forward = decoder(weights, config, batch);
  return { forward, gradients: decoderBackward(weights, config, batch, forward) };
}
