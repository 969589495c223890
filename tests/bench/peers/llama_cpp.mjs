// Tokens a second of greedy text by llama.cpp: node llama_cpp.mjs MODULE MODEL COUNT ID…, where MODULE is node-llama-cpp's
// entry; the first token, which reads the prompt, is not counted. Prints {"seconds"} a token.
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
const [module, modelPath, count, ...ids] = process.argv.slice(2);
const { getLlama } = await import(pathToFileURL(module));
const threads = availableParallelism();
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 256, threads });
let made = 0;
let start;
for await (const _ of context.getSequence().evaluate(ids.map(Number), { temperature: 0, yieldEogToken: true })) {
  start ??= performance.now();
  if (made++ === Number(count)) break;
}
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 / count }));
process.exit(0);
