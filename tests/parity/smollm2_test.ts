import { assert, assertEquals } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { collate } from "../../lib/datasets/batches.ts";
import { type Message, renderChat } from "../../lib/io/chat_template.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { loadTokenizer } from "../../lib/io/tokenizer.ts";
import { generate } from "../../lib/nn/generate.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { planMemory } from "../../lib/train/memory.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { readFixture } from "../helpers/fixtures.ts";
import { smollm2 } from "../helpers/smollm2.ts";

interface Fixture {
  /** First 16 digits of the sha256 of every weight in f32. */
  digests: Record<string, string>;
  texts: { text: string; ids: number[]; nll: number[] }[];
  prompts: { prompt: string; ids: number[]; greedy: number[] }[];
  /** PEFT's losses before each of ten updates, by turns on these rows. */
  training: {
    rank: number;
    batches: number[][][];
    runs: { method: "lora" | "olora"; learningRate: number; losses: number[] }[];
  };
}

interface Conversation {
  messages: Message[];
  addGenerationPrompt: boolean;
  text: string;
  ids: number[];
}

const { path, ignore } = await smollm2();

/** Nats of a token in float32 through 30 layers, against float64. */
const TOLERANCE = 4e-4;

/** Mean nats of a batch through ten updates, likewise. */
const TRAINING_TOLERANCE = 1e-4;

Deno.test({
  name: "openModelTensors() gives SmolLM2-135M's weights as gguf-py dequantises them, bit for bit",
  ignore,
  async fn() {
    const { digests } = await readFixture<Fixture>("smollm2.json");
    using file = await openModelTensors(path);
    assertEquals([...file.tensors.keys()].sort(), Object.keys(digests).sort());
    for (const [name, digest] of Object.entries(digests)) {
      const bytes = await crypto.subtle.digest("SHA-256", toFloat32(await file.read(name)));
      assertEquals([name, new Uint8Array(bytes).toHex().slice(0, 16)], [name, digest]);
    }
  },
});

Deno.test({
  name: "loadTokenizer() reads SmolLM2-135M's from its GGUF file: the ids of the tokenizers package",
  ignore,
  async fn() {
    const { texts, prompts } = await readFixture<Fixture>("smollm2.json");
    const tokenizer = await loadTokenizer(path);
    for (const { text, ids } of texts) assertEquals([text, tokenizer.encode(text)], [text, ids]);
    for (const { prompt, ids } of prompts) assertEquals(tokenizer.encode(prompt), ids);
    for (const { text, ids } of texts) assertEquals(tokenizer.decode(ids), text);
  },
});

Deno.test({
  name: "renderChat() renders SmolLM2-135M's template as transformers' apply_chat_template does",
  ignore,
  async fn() {
    const cases = await readFixture<Conversation[]>("smollm2_chat.json");
    const tokenizer = await loadTokenizer(path);
    for (const { messages, addGenerationPrompt, text, ids } of cases) {
      assertEquals(renderChat(tokenizer, messages, { addGenerationPrompt }), text);
      assertEquals(tokenizer.encode(text, { addSpecial: false }), ids);
    }
  },
});

Deno.test({
  name: "loadModel() gives SmolLM2-135M in Q4_1: transformers' nats per token and greedy text",
  ignore,
  async fn() {
    const gpu = await testDevice();
    const { texts, prompts } = await readFixture<Fixture>("smollm2.json");
    using model = await loadModel(path, { gpu });
    const scores = await score(model, texts.map(({ ids }) => ids));
    scores.forEach((row, i) => expectClose(row, texts[i].nll, TOLERANCE, texts[i].text));
    for (const { ids, greedy } of prompts) {
      const made = await Array.fromAsync(generate(model, ids, { maxNewTokens: greedy.length, stop: [] }));
      assertEquals(made, greedy);
    }
  },
});

/** `whole_numbers` of the script: A of the module at `place`, exact in float32. */
function wholeNumbers(size: number, place: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size }, (_, i) => {
    const high = Math.imul(i + place * 100_003, 2_654_435_761) >>> 16;
    return (high / 2 ** 16 - 0.5) / 8;
  });
}

for (const method of ["lora", "olora"] as const) {
  Deno.test({
    name:
      `Ten training steps of ${method} on SmolLM2-135M in Q4_1 give PEFT's losses and take the planned memory`,
    ignore,
    async fn() {
      const gpu = await testDevice();
      const { training: { rank, batches, runs } } = await readFixture<Fixture>("smollm2.json");
      const { learningRate, losses } = runs.find((run) => run.method === method)!;
      const options = { method, rank, alpha: rank, targets: ["q_proj", "v_proj"] };
      const batchSize = Math.max(...batches.map(({ length }) => length));
      const seqLen = Math.max(...batches.flat().map(({ length }) => length)) - 1;
      const { total } = await planMemory(path, { ...options, batchSize, seqLen });
      const before = gpu.liveBytes;
      using model = await loadModel(path, { gpu });
      using adapter = await attach(model, options);
      gpu.pool.resetPeak();
      if (method === "lora") {
        [...adapter.branches.values()].forEach(({ a: { value } }, place) =>
          gpu.write(value, wholeNumbers(value.size, place))
        );
      }
      const order = losses.map((_, step) =>
        collate(batches[step % batches.length].map((ids) => ({ ids, mask: ids.map(() => true) })), step + 1)
      );
      using trainer = new Trainer(adapter, order.values(), { steps: losses.length, learningRate });
      const records = (await Array.fromAsync(trainer.run())).flat();
      expectClose(records.map(({ loss }) => loss), losses, TRAINING_TOLERANCE, "losses");
      const used = gpu.pool.peakBytes - before;
      assert(Math.abs(total - used) < 0.1 * used, `planned ${total}, used ${used}`);
    },
  });
}
