import { assertEquals } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { selectTargets } from "../../lib/adapters/targets.ts";
import { Tape } from "../../lib/autograd/tape.ts";
import { parseModelConfig } from "../../lib/io/model_config.ts";
import { readPeftAdapter } from "../../lib/io/peft.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { negativeLogLikelihood, padded, score, uploadBatch } from "../../lib/nn/score.ts";
import { globalNorm } from "../../lib/reference/adamw.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { referenceData } from "../helpers/requires.ts";
import { type Expected, fixturePath, readFixture } from "../helpers/fixtures.ts";

const published = referenceData("adapters/opt125m-dpo-lora");
Deno.test({
  name: "linearModules() of OPT-125m has the modules of a published adapter, in the shapes of its factors",
  ignore: published.ignore,
  async fn() {
    const config = parseModelConfig({
      model_type: "opt",
      vocab_size: 50272,
      hidden_size: 768,
      ffn_dim: 3072,
      num_attention_heads: 12,
      num_hidden_layers: 12,
    }, "config.json");
    const { config: { targetModules }, factors } = await readPeftAdapter(published.path);
    const targets = selectTargets(config, targetModules);
    assertEquals(targets.map(({ module }) => module).sort(), [...factors.keys()].sort());
    for (const { module, out, in: width } of targets) {
      const { a, b } = factors.get(module)!;
      assertEquals([a.shape, b.shape], [[16, width], [out, 16]]);
    }
  },
});

/** What the project promises: nats of a token, and of a gradient's norm, relative or of the largest factor's. */
const [NLL, NORM, OF_LARGEST] = [1e-4, 1e-4, 1e-6];

const expected = await readFixture<Record<"opt" | "gpt2", Omit<Expected, "greedy">>>(
  "family_adapters/expected.json.gz",
);

for (const family of ["opt", "gpt2"] as const) {
  const folder = fixturePath(`family_adapters/${family}`);
  const { ids, nll, gradientNorms: norms } = expected[family];

  Deno.test(`loadAdapter() gives PEFT's nats and gradients for its adapter on every layer of ${family}`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu });
    using adapter = await loadAdapter(model, folder);
    (await score(model, ids)).forEach((row, i) => expectClose(row, nll[i], NLL, `row ${i}`));
    const t = ids[0].length - 1;
    gpu.scope(() => {
      using tape = new Tape(gpu);
      const batch = uploadBatch(model, padded(ids, t), adapter);
      const options = { changes: adapter, scale: 1 / (ids.length * t) };
      tape.backward(negativeLogLikelihood(tape, model, batch, options));
    });
    const largest = Math.max(...Object.values(norms));
    assertEquals(Object.keys(norms).length, 2 * adapter.branches.size);
    for (const module of adapter.branches.keys()) {
      for (const factor of ["A", "B"]) {
        const { sink } = adapter.parameters.get(`${module}.${factor.toLowerCase()}`)!;
        const norm = norms[`${module}.lora_${factor}`];
        const found = globalNorm([Float64Array.from(await gpu.read(sink!))]);
        expectClose([found], [norm], Math.max(NORM * norm, OF_LARGEST * largest), `${module} ${factor}`);
      }
    }
  });

  Deno.test(`saveModel() merges an adapter into ${family}`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu });
    using _adapter = await loadAdapter(model, folder);
    const merged = await Deno.makeTempDir();
    await saveModel(model, merged, "f32");
    using again = await loadModel(merged, { gpu });
    (await score(again, ids)).forEach((row, i) => expectClose(row, nll[i], NLL, `row ${i}`));
    await Deno.remove(merged, { recursive: true });
  });

  Deno.test(`saveAdapter() writes an olora on ${family} in a form that PEFT can load`, async () => {
    const gpu = await testDevice();
    using model = await loadModel(fixturePath(family), { gpu });
    using adapter = await attach(model, { method: "olora", rank: 2 });
    for (const { a, b } of adapter.branches.values()) {
      for (const { value } of [a, b]) {
        gpu.write(
          value,
          (await gpu.read(value)).map((x, i) => x + 0.1 * (i % 3)),
        );
      }
    }
    const before = await score(model, ids);
    const saved = await Deno.makeTempDir();
    await saveAdapter(adapter, saved);
    const { config, factors } = await readPeftAdapter(saved);
    // PEFT's olora factors a Conv1D's [in, out] as if it were [out, in].
    assertEquals([config.init, config.rank], family === "opt" ? ["olora", 2] : [true, 4]);
    assertEquals(factors.size, (family === "opt" ? 2 : 1) * model.config.layers);
    using _again = await loadAdapter(model, saved);
    (await score(model, ids)).forEach((row, i) => expectClose(row, before[i], NLL, `row ${i}`));
    await Deno.remove(saved, { recursive: true });
  });
}
