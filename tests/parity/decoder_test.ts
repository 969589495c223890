import { assert, assertEquals } from "@std/assert";
import { globalNorm } from "../../lib/reference/adamw.ts";
import { decoder, decoderBackward, lastLogits } from "../../lib/reference/decoder.ts";
import { expectClose } from "../helpers/close.ts";
import {
  expected,
  type FixtureModel,
  modelFolder,
  oldFormFolder,
  referenceModel,
} from "../helpers/fixtures.ts";

/** float64 against float64: both sides round in another order, in sums of up to a few thousand terms. */
const TOLERANCE = 1e2 * Number.EPSILON;

for (const model of ["llama_tied", "llama_untied", "stories260k"] satisfies FixtureModel[]) {
  const folder = modelFolder(model);
  const ignore = folder === undefined;

  Deno.test({
    name: `decoder() gives transformers' nats per token and gradient norms of ${model}`,
    ignore,
    async fn() {
      const { config, weights } = await referenceModel(folder!);
      const { ids, nll, gradientNorms } = await expected(model);
      const [b, t] = [ids.length, ids[0].length];
      const batch = { b, t, ids: Int32Array.from(ids.flat()) };
      const forward = decoder(weights, config, batch);
      const flat = Float64Array.from(nll.flatMap((row) => [...row, 0]));
      expectClose(forward.nll, flat, flat.map((nats) => TOLERANCE * (1 + nats)), "nats");

      const gradients = decoderBackward(weights, config, batch, forward);
      assertEquals(Object.keys(gradients).sort(), Object.keys(gradientNorms).sort());
      for (const [name, norm] of Object.entries(gradientNorms)) {
        expectClose([globalNorm([gradients[name]])], [norm], TOLERANCE * norm, name);
      }
    },
  });

  Deno.test({
    name: `lastLogits() continues ${model} greedily as transformers does`,
    ignore,
    async fn() {
      const { config, weights } = await referenceModel(folder!);
      const { greedy } = await expected(model);
      const ids = [...greedy.prompt];
      // 64 tokens suffice here: without a cache the cost grows with the square.
      const continuation = greedy.continuation.slice(0, 64);
      while (ids.length < greedy.prompt.length + continuation.length) {
        const logits = lastLogits(weights, config, { b: 1, t: ids.length, ids: Int32Array.from(ids) });
        ids.push(logits.indexOf(Math.max(...logits)));
      }
      assertEquals(ids.slice(greedy.prompt.length), continuation);
    },
  });
}

Deno.test("config.old.json says the same as transformers 5's config.json", async () => {
  for (const model of ["llama_tied", "llama_untied"] as const) {
    const old = await oldFormFolder(model);
    try {
      const text = await Deno.readTextFile(`${old}/config.json`);
      assert(text.includes('"torch_dtype"') && !text.includes("rope_parameters"));
      assertEquals((await referenceModel(old)).config, (await referenceModel(modelFolder(model)!)).config);
    } finally {
      await Deno.remove(old, { recursive: true });
    }
  }
});
