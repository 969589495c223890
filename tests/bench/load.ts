import { attach, type Gpu, loadAdapter, loadModel, type Model, saveAdapter, saveModel } from "../../mod.ts";
import { modelFolder } from "../helpers/fixtures.ts";
import { requires } from "../helpers/requires.ts";
import { median } from "./measure.ts";
import { runPython } from "./peers/python.ts";

const RANK = 16;
const ROUNDS = 3;

/** SmolLM2-135M in the blocks it comes in, where `.ci/run` puts it. */
const SMOLLM2 = decodeURIComponent(
  new URL("../../out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", import.meta.url).pathname,
);

/**
 * Loading an olora adapter on a model that is loaded already, r 16 on all linear layers, in f32: from start factors that
 * are stored, and by QR where they are not, beside PEFT, which factors each matrix whole.
 */
export async function compareLoad(gpu: Gpu): Promise<void> {
  const isThere = await Deno.stat(SMOLLM2).then(() => true, () => false);
  const source = isThere ? SMOLLM2 : modelFolder("stories260k");
  if (!source) return console.log("\nLoading an adapter: left out, no model's weights are here");
  console.log(
    `\nLoading an olora adapter, r ${RANK} on all linear layers, on ${
      isThere ? "SmolLM2-135M in f32" : "stories260K"
    }`,
  );
  const folder = await Deno.makeTempDir();
  try {
    {
      using stored = await loadModel(source, { gpu });
      await saveModel(stored, `${folder}/model`);
    }
    using model = await loadModel(`${folder}/model`, { gpu });
    {
      using adapter = await attach(model, { method: "olora", rank: RANK, targets: "all-linear" });
      await saveAdapter(adapter, `${folder}/adapter`);
    }
    const stored = await seconds(model, `${folder}/adapter`);
    await Deno.rename(`${folder}/adapter/start`, `${folder}/start`);
    const factored = await seconds(model, `${folder}/adapter`);
    const theirs = requires("python").ignore ? undefined : (await runPython("peft_load.py", [
      ...["--model", `${folder}/model`, "--adapter", `${folder}/adapter`, "--rounds", String(ROUNDS)],
    ])).seconds;
    const line = (name: string, time: number) => {
      const ratio = theirs === undefined || time === theirs
        ? ""
        : `  this kit ${(theirs / time).toFixed(1)} ×`;
      console.log(`  ${name.padEnd(35)}${(1000 * time).toFixed(1).padStart(13)} ms${ratio}`);
    };
    line("this kit, start factors stored", stored);
    line("this kit, QR of 16 columns", factored);
    if (theirs !== undefined) line("PEFT, PyTorch on the CPU", theirs);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Median of the rounds, after one that compiles. */
async function seconds(model: Model, folder: string): Promise<number> {
  const times: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const start = performance.now();
    using _adapter = await loadAdapter(model, folder);
    model.gpu.flush();
    await model.gpu.settled();
    if (round >= 0) times.push((performance.now() - start) / 1000);
  }
  return median(times);
}
