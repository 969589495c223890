import { attach, type Batch, generate, type Gpu, loadModel, saveModel, Trainer } from "../../mod.ts";
import { llamaCppModule, requires } from "../helpers/requires.ts";
import { smollm2 } from "../helpers/smollm2.ts";
import { median } from "./measure.ts";
import { runPython, torchDevices } from "./peers/python.ts";

const [B, T] = [4, 128];
const TOKENS = 32;
const PROMPT = "The capital of France is";

/**
 * SmolLM2-135M from its Q4_1 blocks: a training step of lora, r 8 on q and v, beside PEFT with PyTorch on the same
 * weights in f32; and greedy text, without an adapter and with one, beside llama.cpp on the same file. In turns.
 */
export async function compareSmolLm2(gpu: Gpu, rounds = 3): Promise<void> {
  const { path, ignore } = await smollm2();
  if (ignore) return console.log("\nSmolLM2-135M: left out, its weights are not here");
  const folder = await Deno.makeTempDir();
  try {
    using model = await loadModel(path, { gpu });
    await saveModel(model, folder);
    const ids = model.tokenizer!.encode(PROMPT);
    const [bare, llama, adapted, ours]: number[][] = [[], [], [], []];
    const peers = torchDevices(gpu).map((device) => ({ device, times: [] as number[] }));
    const timeText = async () => {
      let start = 0;
      for await (const _ of generate(model, ids, { maxNewTokens: TOKENS + 1, stop: [] })) {
        start ||= performance.now();
      }
      return (performance.now() - start) / 1000 / TOKENS;
    };
    for (let round = 0; round < rounds; round++) {
      bare.push(await timeText());
      const peer = requires("llama.cpp");
      if (!peer.ignore) llama.push(await runLlamaCpp(peer.path, path, ids));
    }
    using adapter = await attach(model, { method: "lora", rank: 8, targets: ["q_proj", "v_proj"] });
    using trainer = new Trainer(adapter, sameBatch(), { steps: 1e9, learningRate: 1e-4, readEvery: 1 });
    const step = async () => {
      const start = performance.now();
      for await (const _ of trainer.run({ until: trainer.step + 1 }));
      return (performance.now() - start) / 1000;
    };
    await step();
    for (let round = 0; round < rounds; round++) {
      ours.push(await step());
      for (const { device, times } of peers) {
        const shape = ["--batch-size", String(B), "--seq-len", String(T), "--rounds", "1", "--steps", "1"];
        const settings = [
          "--method",
          "lora",
          "--targets",
          "q_proj,v_proj",
          "--rank",
          "8",
          "--device",
          device,
        ];
        times.push((await runPython("peft_step.py", ["--model", folder, ...settings, ...shape])).seconds);
      }
      adapted.push(await timeText());
    }
    console.log(`\nSmolLM2-135M, Q4_1: a training step of lora, r 8 on q and v, ${B} x ${T} tokens`);
    const line = (name: string, value: number, unit: string, ratio?: number) =>
      console.log(
        `  ${name.padEnd(35)}${value.toPrecision(3).padStart(10)} ${unit}` +
          (ratio === undefined ? "" : `  this kit ${ratio.toFixed(2)} ×`),
      );
    line("this kit", median(ours), "s");
    for (const { device, times } of peers) {
      line(`PEFT, PyTorch, f32, ${device}`, median(times), "s", median(times) / median(ours));
    }
    console.log(`SmolLM2-135M, Q4_1: greedy text after ${ids.length} tokens`);
    line("this kit", 1 / median(bare), "tokens/s");
    line("this kit, with that adapter", 1 / median(adapted), "tokens/s");
    if (llama.length) line("llama.cpp", 1 / median(llama), "tokens/s", median(llama) / median(bare));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function runLlamaCpp(node: string, model: string, ids: readonly number[]): Promise<number> {
  const script = decodeURIComponent(new URL("peers/llama_cpp.mjs", import.meta.url).pathname);
  const { success, stdout } = await new Deno.Command(node, {
    args: [script, llamaCppModule, model, String(TOKENS), ...ids.map(String)],
    stderr: "null",
  }).output();
  if (!success) throw new Error("Cannot run llama.cpp: it ended with an error");
  return JSON.parse(new TextDecoder().decode(stdout)).seconds;
}

function* sameBatch(): Generator<Batch, void> {
  const ids = Uint32Array.from({ length: B * T }, (_, i) => 3 + (7919 * i) % 49_000);
  const targets = Int32Array.from({ length: B * T }, (_, i) => 3 + (7919 * (i + 1)) % 49_000);
  for (let position = 1;; position++) yield { ids, targets, shape: [B, T], count: ids.length, position };
}
