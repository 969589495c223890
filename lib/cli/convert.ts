import { joined, moved, residualModel, toPlainLora } from "../adapters/convert.ts";
import { layersAsLora } from "../adapters/layers_as_lora.ts";
import { loadAdapter } from "../adapters/save.ts";
import { saveModel } from "../adapters/save_model.ts";
import { hostTensor } from "../core/host_tensor.ts";
import { writeGgufAdapter } from "../io/gguf_adapter.ts";
import { localBase } from "../io/local_base.ts";
import { readModelConfig } from "../io/model_config.ts";
import { resolveModel } from "../io/model_folder.ts";
import { readPeftAdapter, readPeftStart, writePeftAdapter } from "../io/peft.ts";
import { type PeftAdapter, refuseMagnitudes, startOf } from "../io/peft_format.ts";
import { loadModel } from "../nn/model.ts";
import { checkAdapter } from "./adapter_folder.ts";
import { checkInputs, type Command, openGpu, type Output } from "./command.ts";

/** `olora convert`: an adapter as plain LoRA, for PEFT or for llama.cpp, or in the paper's residual form. */
export const convert: Command = {
  summary: "an adapter as plain LoRA on the untouched base, for llama.cpp, or in the paper's residual form",
  usage: "--adapter DIR --to lora|residual|gguf [--model M] --out DIR [--dtype D]",
  options: {
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    to: {
      type: "text",
      value: "FORM",
      help:
        "lora: of rank 2 r, or r if a factor was frozen; residual: OUT/model, W - s B0 A0, and OUT/adapter, B and A; gguf: lora as OUT/adapter.gguf, which llama.cpp takes by --lora",
    },
    model: {
      type: "text",
      value: "M",
      help:
        "the base (default the one that the adapter names, where it is on this machine); lora needs none where the folder has start/",
    },
    out: { type: "text", value: "DIR", help: "folder for what is made" },
    dtype: { type: "text", value: "D", help: "of gguf: f32 (default) or f16" },
  },

  async run(args, output) {
    const [folder, to, out] = ["adapter", "to", "out"].map((option) => args.required(option));
    if (to !== "lora" && to !== "residual" && to !== "gguf") {
      throw new RangeError(`Cannot convert to ${to}: expected lora, residual or gguf`);
    }
    const dtype = args.text("dtype") ?? "f32";
    if ((dtype !== "f32" && dtype !== "f16") || (to !== "gguf" && args.text("dtype") !== undefined)) {
      throw new RangeError(
        `Cannot convert to ${to} in ${dtype}: expected f32 or f16 for gguf, and none for the others`,
      );
    }
    const read = await checkAdapter(folder, output);
    const name = args.text("model") ?? await localBase(folder);
    if (name !== undefined) await checkInputs(name);
    const adapter = await layersAsLora(folder) ?? await readPeftAdapter(folder);
    if (to === "lora") {
      const plain = await plainLora(folder, adapter, name, joined, output);
      await writePeftAdapter(out, plain);
      output.say(`${plain.config.dora ? "DoRA" : "Plain LoRA"} of rank ${plain.config.rank}; wrote ${out}`);
      return { out, to, rank: plain.config.rank, ...read };
    }
    if (name === undefined) {
      throw new RangeError(
        `Cannot convert to ${to} without --model: expected the adapter's base, as what ${folder} names is not here`,
      );
    }
    if (to === "gguf") {
      const plain = await plainLora(folder, adapter, name, moved, output);
      const file = `${out}/adapter.gguf`;
      await writeGgufAdapter(file, plain, await readModelConfig(await resolveModel(name)), dtype);
      output.say(`Plain LoRA of rank ${plain.config.rank} in ${dtype}; wrote ${file}`);
      return { out: file, to, rank: plain.config.rank, dtype, ...read };
    }
    using gpu = await openGpu(output);
    using base = await loadModel(name, { gpu });
    using attached = await loadAdapter(base, folder);
    using residual = residualModel(attached);
    const made = { model: `${out}/model`, adapter: `${out}/adapter` };
    await saveModel(residual, made.model);
    const config = { ...adapter.config, init: true, baseModel: undefined };
    await writePeftAdapter(made.adapter, { ...adapter, config });
    output.say(`Wrote ${made.model}, whose adapted weights are W - s B0 A0, and ${made.adapter}`);
    const ran = { device: gpu.info.name, software: gpu.info.isSoftware };
    return { ...ran, out, to, rank: adapter.config.rank, ...made, ...read };
  },
};

/** The adapter as plain LoRA, or DoRA if it has magnitudes, of the untouched base; its start is read, or made again from the base. */
async function plainLora(
  folder: string,
  adapter: PeftAdapter,
  model: string | undefined,
  product: typeof joined,
  output: Output,
): Promise<PeftAdapter> {
  if (startOf(adapter.config.init) === undefined) {
    refuseMagnitudes(adapter.config);
    return { ...adapter, config: { ...adapter.config, init: true } };
  }
  const stored = await readPeftStart(folder);
  if (stored) return toPlainLora(adapter, stored, product);
  if (model === undefined) {
    throw new RangeError(
      `Cannot convert ${folder} without --model: found no start/, expected it or the base to make it from`,
    );
  }
  using gpu = await openGpu(output);
  using base = await loadModel(model, { gpu });
  using attached = await loadAdapter(base, folder);
  const start = new Map<string, { a: ReturnType<typeof hostTensor>; b: ReturnType<typeof hostTensor> }>();
  for (const [module, { start: factors }] of attached.branches) {
    const [a, b] = [factors!.a, factors!.b];
    start.set(module, {
      a: hostTensor(a.shape, await gpu.read(a)),
      b: hostTensor(b.shape, await gpu.read(b)),
    });
  }
  return toPlainLora(adapter, start, product);
}
