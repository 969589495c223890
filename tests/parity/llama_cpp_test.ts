import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { attach } from "../../lib/adapters/attach.ts";
import { saveAdapter } from "../../lib/adapters/save.ts";
import { type Batch, collate } from "../../lib/datasets/batches.ts";
import { generate } from "../../lib/nn/generate.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { Trainer } from "../../lib/train/train.ts";
import { run } from "../cli/command_line.ts";
import { testDevice } from "../helpers/device.ts";
import { readFixture } from "../helpers/fixtures.ts";
import { llamaCppModule, requires } from "../helpers/requires.ts";

interface Fixture {
  prompts: { prompt: string; ids: number[]; greedy: number[] }[];
}

const MODEL = fileURLToPath(new URL("../../out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", import.meta.url));
const { path: node, ignore } = requires("llama.cpp");

/** Greedy ids by llama.cpp for each text. */
async function llamaCpp(texts: { ids: number[]; count: number; adapter?: string }[]): Promise<number[][]> {
  const script = fileURLToPath(new URL("llama_cpp.mjs", import.meta.url));
  const child = new Deno.Command(node, {
    args: [script, llamaCppModule],
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" } as const,
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ model: MODEL, texts })));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Leading ids that two texts share. */
function shared(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((id, i) => id !== b[i]);
  return at < 0 ? a.length : at;
}

/**
 * llama.cpp rounds what goes into a product to 8 bits, so its text may leave ours where two tokens are nearly as likely:
 * of twelve tokens the first AGREED must be ours. All were where this was written; of the base's, adapters left one.
 */
const [COUNT, AGREED] = [12, 8];
const LESSON = "Once upon a time, seven grey whales taught the harbour master to sing in Latin.";
const PROMPT = "Once upon a time";
const RATES = { olora: 1e-3, lora: 5e-3 };

Deno.test({
  name:
    "llama.cpp applies adapters that are trained here on SmolLM2-135M, and without them gives the base's text",
  ignore,
  async fn() {
    const gpu = await testDevice();
    const { prompts } = await readFixture<Fixture>("smollm2.json");
    const base = prompts.find(({ prompt }) => prompt === PROMPT)!;
    const folder = await Deno.makeTempDir();
    const ours: number[][] = [];
    const files: string[] = [];
    {
      using model = await loadModel(MODEL, { gpu });
      const lesson = model.tokenizer!.encode(LESSON);
      for (const [method, learningRate] of Object.entries(RATES)) {
        using adapter = await attach(model, { method, rank: 8, targets: "all-linear", seed: 1 });
        using trainer = new Trainer(adapter, over(lesson), { steps: 5, learningRate });
        await Array.fromAsync(trainer.run());
        ours.push(await Array.fromAsync(generate(model, base.ids, { maxNewTokens: COUNT, stop: [] })));
        await saveAdapter(adapter, `${folder}/${method}`);
        const { code, stderr } = await run(
          ...["convert", "--adapter", `${folder}/${method}`, "--to", "gguf", "--model", MODEL],
          ...["--out", `${folder}/${method}`, "--dtype", "f16"],
        );
        assertEquals(code, 0, stderr);
        files.push(`${folder}/${method}/adapter.gguf`);
      }
    }
    const asked = files.map((adapter) => ({ ids: base.ids, count: COUNT, adapter }));
    const bare = prompts.map(({ ids }) => ({ ids, count: COUNT }));
    const found = await llamaCpp([...asked, ...bare]);
    ours.forEach((text, i) => {
      assert(shared(text, base.greedy) < AGREED, `${files[i]} changes nothing`);
      assert(shared(text, found[i]) >= AGREED, `${files[i]}: ${text}, by llama.cpp ${found[i]}`);
    });
    prompts.forEach(({ prompt, greedy }, i) => {
      const text = found[asked.length + i];
      assert(shared(text, greedy) >= AGREED, `${prompt}: ${greedy}, by llama.cpp ${text}`);
    });
    await Deno.remove(folder, { recursive: true });
  },
});

/** The same text again and again. */
function* over(ids: number[]): Generator<Batch, void> {
  const rows = [{ ids, mask: ids.map(() => true) }];
  for (let position = 1;; position++) yield collate(rows, position);
}
