import { readLayers } from "../adapters/save_layers.ts";
import { isGguf, openGguf } from "../io/gguf.ts";
import { type JsonObject, readTextIfAny } from "../io/json_file.ts";
import { readModelConfig } from "../io/model_config.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { readPeftAdapter } from "../io/peft.ts";
import { readPeftAdalora } from "../io/peft_adalora.ts";
import { readPeftIa3 } from "../io/peft_ia3.ts";
import { openSafetensors } from "../io/safetensors.ts";
import type { TensorInfo } from "../io/safetensors_format.ts";
import { checkTensors } from "../io/weights.ts";
import { planMemory } from "../train/memory.ts";
import { textTable } from "../display/table.ts";
import { checkAdapter } from "./adapter_folder.ts";
import { type Command, findModel, type Output } from "./command.ts";

/** The training whose memory is told. */
const TRAINING = { method: "olora", rank: 8, batchSize: 8, seqLen: 128 } as const;

/** `olora inspect`: what a model folder, an adapter or a safetensors file holds. */
export const inspect: Command = {
  summary: "tensors, dtypes, sizes, adapter settings, memory that training needs",
  usage: "PATH (a model as --model takes it, an adapter folder or .gguf, or a .safetensors file)",
  options: {},
  positionals: 1,

  async run(args, output) {
    const path = args.positionals[0].replace(/(?<=.)[/\\]+$/, "");
    if (path.endsWith(".safetensors")) {
      using file = await openSafetensors(path);
      return { kind: "safetensors", metadata: file.metadata, ...tensorsOf(file.tensors, output) };
    }
    const listed = isGguf(path) ? await ggufAdapter(path, output) : undefined;
    if (listed) return listed;
    const own = await readLayers(path);
    if (own) return await ownAdapter(path, own, output);
    if (await readTextIfAny(`${path}/adapter_config.json`) !== undefined) return await adapter(path, output);
    return await model(await findModel(path), output);
  },
};

async function adapter(path: string, output: Output): Promise<Record<string, unknown>> {
  const about = await settingsOf(path);
  for (const [name, value] of Object.entries(about)) output.say(`${name}: ${JSON.stringify(value)}`);
  const read = await checkAdapter(path, output);
  using file = await openSafetensors(`${path}/adapter_model.safetensors`);
  return { kind: "adapter", adapter: about, ...read, ...tensorsOf(file.tensors, output) };
}

/** What is told of an adapter in PEFT's format: what is unset is left out. */
async function settingsOf(path: string): Promise<Record<string, unknown>> {
  const adalora = await readPeftAdalora(path);
  if (adalora) {
    const { baseModel = null, ...config } = adalora.config;
    return { method: "adalora", ...config, baseModel, modules: adalora.modules.size };
  }
  const ia3 = await readPeftIa3(path);
  if (ia3) {
    const { targetModules, feedforwardModules = [], baseModel = null } = ia3.config;
    return { method: "ia3", targetModules, feedforwardModules, baseModel, modules: ia3.modules.size };
  }
  const { config, factors } = await readPeftAdapter(path);
  const { rank, alpha, dropout, targetModules, init, baseModel = null, ...more } = config;
  const isSet = (value: unknown) =>
    value !== false && !(typeof value === "object" && Object.keys(value!).length === 0);
  const set = Object.fromEntries(Object.entries(more).filter(([, value]) => isSet(value)));
  return { rank, alpha, dropout, targetModules, init, ...set, baseModel, modules: factors.size };
}

/** An adapter in the kit's own form. */
async function ownAdapter(
  path: string,
  about: JsonObject,
  output: Output,
): Promise<Record<string, unknown>> {
  for (const [name, value] of Object.entries(about)) output.say(`${name}: ${JSON.stringify(value)}`);
  using file = await openSafetensors(`${path}/kit_adapter.safetensors`);
  return { kind: "adapter", adapter: about, ...tensorsOf(file.tensors, output) };
}

/** An adapter in llama.cpp's form; undefined of any other GGUF file, and where there is no such file. */
async function ggufAdapter(path: string, output: Output): Promise<Record<string, unknown> | undefined> {
  if (!await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return undefined;
  using file = await openGguf(path);
  if (file.metadata.get("general.type") !== "adapter") return undefined;
  const about = Object.fromEntries(file.metadata);
  for (const [name, value] of Object.entries(about)) output.say(`${name}: ${JSON.stringify(value)}`);
  return { kind: "adapter", adapter: about, ...tensorsOf(file.tensors, output) };
}

async function model(path: string, output: Output): Promise<Record<string, unknown>> {
  const config = await readModelConfig(path);
  using file = await openModelTensors(path);
  checkTensors(config, file.tensors, file.fileOf);
  for (const [name, value] of Object.entries(config)) output.say(`${name}: ${JSON.stringify(value)}`);
  const tensors = tensorsOf(file.tensors, output);
  const { method, rank, batchSize: batch } = TRAINING;
  const seqLen = Math.min(TRAINING.seqLen, config.context);
  const bytes = await planMemory(path, { ...TRAINING, seqLen });
  output.say("");
  output.say(textTable({
    title: `Device bytes: ${method}, rank ${rank}, the default targets, ${batch} × ${seqLen} tokens`,
    columns: ["what", "bytes"],
    rows: [
      ["weights, to load", bytes.weights],
      ["adapter", bytes.adapter],
      ["an update, at its peak", bytes.update],
      ["in all", bytes.total],
    ],
  }));
  const training = { method, rank, batch, tokens: seqLen, bytes };
  return { kind: "model", config, ...tensors, training };
}

function tensorsOf(tensors: ReadonlyMap<string, TensorInfo>, output: Output) {
  const rows = [...tensors].map(([name, { dtype, shape, byteLength }]) => ({
    name,
    dtype,
    shape,
    bytes: byteLength,
  }));
  const parameters = rows.reduce(
    (sum, { shape }) => sum + shape.reduce((product, axis) => product * axis, 1),
    0,
  );
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  output.say(textTable({
    columns: ["tensor", "dtype", "shape", "bytes"],
    rows: rows.map(({ name, dtype, shape, bytes }) => [name, dtype, `[${shape.join(", ")}]`, bytes]),
  }));
  output.say(`${rows.length} tensors, ${parameters} numbers, ${bytes} bytes`);
  return { tensors: rows, parameters, bytes };
}
