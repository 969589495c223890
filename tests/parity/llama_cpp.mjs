// Greedy text by llama.cpp: node llama_cpp.mjs MODULE < {"model", "texts": [{"ids", "count", "adapter"?}]}, where MODULE is
// node-llama-cpp's entry; prints the ids made for each text.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
const { getLlama } = await import(pathToFileURL(process.argv[2]));
const { model: modelPath, texts } = JSON.parse(await text(process.stdin));
// One thread: several wait for each other by spinning, which takes for ever where the cores are busy.
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
const model = await llama.loadModel({ modelPath });
const made = [];
for (const { ids, count, adapter } of texts) {
  const lora = adapter && { adapters: [{ filePath: adapter, scale: 1 }] };
  const context = await model.createContext({ contextSize: 256, threads: 1, ...(lora && { lora }) });
  const out = [];
  for await (const id of context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    if (out.push(id) === count) break;
  }
  made.push(out);
  await context.dispose();
}
console.log(JSON.stringify(made));
process.exit(0);
