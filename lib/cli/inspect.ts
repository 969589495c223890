import { readTextIfAny } from "../io/json_file.ts";
import { resolveModel } from "../io/model_folder.ts";
import { type DecoderConfig, readModelConfig } from "../io/model_config.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { readPeftAdapter } from "../io/peft.ts";
import { openSafetensors } from "../io/safetensors.ts";
import type { TensorInfo } from "../io/safetensors_format.ts";
import { checkTensors, linearModules } from "../io/weights.ts";
import { textTable } from "../display/table.ts";
import type { Command, Output } from "./command.ts";

/** Bytes of logits that the loss holds at once. */
const LOGITS_BYTES = 1 << 24;

/** `olora inspect`: what a model folder, an adapter folder or a safetensors file holds. */
export const inspect: Command = {
  summary: "tensors, dtypes, sizes, adapter settings, memory that training needs",
  usage: "PATH (a model folder or tiny, an adapter folder, or a .safetensors file)",
  options: {},
  positionals: 1,

  async run(args, output) {
    const path = args.positionals[0].replace(/(?<=.)[/\\]+$/, "");
    if (path.endsWith(".safetensors")) {
      using file = await openSafetensors(path);
      return { kind: "safetensors", metadata: file.metadata, ...tensorsOf(file.tensors, output) };
    }
    if (await readTextIfAny(`${path}/adapter_config.json`) !== undefined) return await adapter(path, output);
    return await model(await resolveModel(path), output);
  },
};

async function adapter(path: string, output: Output): Promise<Record<string, unknown>> {
  const { config, factors } = await readPeftAdapter(path);
  const { rank, alpha, dropout, targetModules, init, baseModel } = config;
  const about = {
    rank,
    alpha,
    dropout,
    targetModules,
    init,
    baseModel: baseModel ?? null,
    modules: factors.size,
  };
  for (const [name, value] of Object.entries(about)) output.say(`${name}: ${JSON.stringify(value)}`);
  using file = await openSafetensors(`${path}/adapter_model.safetensors`);
  return { kind: "adapter", adapter: about, ...tensorsOf(file.tensors, output) };
}

async function model(path: string, output: Output): Promise<Record<string, unknown>> {
  const config = await readModelConfig(path);
  using file = await openModelTensors(path);
  checkTensors(config, file.tensors, path);
  for (const [name, value] of Object.entries(config)) output.say(`${name}: ${JSON.stringify(value)}`);
  const tensors = tensorsOf(file.tensors, output);
  const training = trainingMemory(config, file.tensors);
  output.say("");
  output.say(textTable({
    title:
      `Device bytes to train olora, rank ${training.rank} on q_proj and v_proj, ${training.batch} × ${training.tokens} tokens (estimate)`,
    columns: ["what", "bytes"],
    rows: Object.entries(training.bytes),
  }));
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

/** An estimate of device memory. */
export interface TrainingMemory {
  /** Rank of the adapter. */
  readonly rank: number;
  /** Sequences of a batch. */
  readonly batch: number;
  /** Tokens of a sequence. */
  readonly tokens: number;
  /** Bytes by what they hold, and `total`. */
  readonly bytes: Readonly<Record<string, number>>;
}

/**
 * What the default training keeps on the device, each part before the pool rounds it up by at most an eighth:
 *
 * - weights as stored, and in f32 those that are merged with the adapter or widened and kept for the backward pass;
 * - parameters, gradients and two moments in f32, and the starting factors;
 * - activations: in each block two norms' inputs and outputs, q and k before and after rotation, v, the attention's
 *   output and log-denominators, gate, value and their product;
 * - a chunk of logits, and the gradient that the head passes down.
 */
export function trainingMemory(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, Pick<TensorInfo, "dtype" | "byteLength">>,
): TrainingMemory {
  const [rank, batch, tokens] = [8, 8, Math.min(128, config.context)];
  const rows = batch * tokens;
  const { width, heads, keyValueHeads, headWidth, mlpWidth, layers, vocabularySize } = config;
  const isWide = (name: string) => tensors.get(name)?.dtype === "F32";
  const linear = [...linearModules(config)];
  const adapted = linear.filter(([module]) => /[qv]_proj$/.test(module));
  const factors = adapted.reduce((sum, [, { out, in: n }]) => sum + rank * (out + n), 0);
  const merged = linear.filter(([module, { out, in: n }]) =>
    (/[qv]_proj$/.test(module) || !isWide(`${module}.weight`)) && out * n <= rows * (out + n)
  ).reduce((sum, [, { out, in: n }]) => sum + out * n, 0);
  const head = config.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  const block = 4 * width + 2 * (heads + keyValueHeads) * headWidth + (keyValueHeads + heads) * headWidth +
    heads + 3 * mlpWidth;
  const bytes = {
    "weights as stored": [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    "weights merged or widened": 4 * (merged + (isWide(head) ? 0 : vocabularySize * width)),
    "parameters, gradients, moments": 16 * factors,
    "starting factors": 4 * factors,
    "activations": 4 * rows * (layers * block + 2 * width),
    "logits and their gradient": Math.min(LOGITS_BYTES, 4 * rows * vocabularySize) + 4 * rows * width,
  };
  const total = Object.values(bytes).reduce((sum, part) => sum + part, 0);
  return { rank, batch, tokens, bytes: { ...bytes, total } };
}
