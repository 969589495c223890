import { type HostTensor, hostTensor } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { modelConfigJson } from "../io/model_config.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { readTextIfAny } from "../io/json_file.ts";
import { readPeftAdapter, writePeftAdapter } from "../io/peft.ts";
import type { PeftFactors } from "../io/peft_format.ts";
import { writeSafetensors } from "../io/safetensors.ts";
import { asStored, isConv1d } from "../io/stored_form.ts";
import { embeddingName, expectedTensors } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import type { Adapter } from "./adapter.ts";
import { attach } from "./attach.ts";
import { joined } from "./convert.ts";

/**
 * Writes `adapter` to a folder that PEFT's `PeftModel.from_pretrained` loads on the same base.
 *
 * An adapter that starts away from zero (olora) also gets `start/`, a PEFT folder of its own with A₀ and B₀: loading
 * it here needs no QR, and `attach` can start from it. PEFT itself forms W − s B₀ A₀ again from the base; the product
 * does not depend on the signs of Q. A start that PEFT cannot form (another basis; any for GPT-2, whose matrices
 * PEFT's olora takes for their transposes) is written as plain LoRA of rank 2 r,
 * [B, B₀] and [A; −A₀], which is the same function. Full fine-tuning is written as a model folder in f32.
 */
export async function saveAdapter(adapter: Adapter, folder: string): Promise<void> {
  const { model, config, branches } = adapter;
  if (config.method === "full") return await saveModel(model, folder);
  const transposed = config.method === "olora" &&
    [...branches.keys()].some((path) => isConv1d(`${path}.weight`));
  const otherBasis = config.basis !== undefined && config.basis !== "first";
  const expanded = (otherBasis || transposed) && config.subtract !== false;
  const trained = new Map<string, PeftFactors>();
  const start = new Map<string, PeftFactors>();
  for (const [module, { a, b, start: frozen }] of branches) {
    const factors = { a: await download(model, a.value), b: await download(model, b.value) };
    const before = frozen && { a: await download(model, frozen.a), b: await download(model, frozen.b) };
    trained.set(module, expanded ? joined(factors, before!) : factors);
    if (before && !expanded) start.set(module, before);
  }
  const settings = {
    rank: expanded ? 2 * config.rank : config.rank,
    alpha: expanded ? 2 * config.alpha : config.alpha,
    dropout: config.dropout,
    targetModules: typeof config.targets === "string" ? namesOf(branches.keys()) : config.targets,
    rankPattern: {},
    alphaPattern: {},
    rsLora: config.method === "rslora",
    baseModel: model.source.name,
  };
  if (start.size) {
    await writePeftAdapter(`${folder}/start`, { config: { ...settings, init: true }, factors: start });
  }
  const init = start.size ? config.method : true;
  await writePeftAdapter(folder, { config: { ...settings, init }, factors: trained });
}

/**
 * Attaches the adapter in `folder`, as `saveAdapter` or PEFT wrote it, with the function it had.
 *
 * @throws {RangeError} If it does not fit the model, or is of a kind that cannot be attached.
 */
export async function loadAdapter(model: Model, folder: string): Promise<Adapter> {
  const { config, factors } = await readPeftAdapter(folder);
  const name = `${folder}/adapter_config.json`;
  const plainLora = config.rsLora ? "rslora" : "lora";
  const own = ["olora", "pissa"].find((method) => method === config.init && !config.rsLora);
  const known = own ?? (typeof config.init === "boolean" ? plainLora : undefined);
  const plain = Object.keys(config.rankPattern).length + Object.keys(config.alphaPattern).length === 0;
  if (!known || !plain) {
    throw new RangeError(
      `Cannot attach ${name}: expected init_lora_weights true, or "olora" or "pissa" without rslora, and one rank and one alpha`,
    );
  }
  const stored = await readTextIfAny(`${folder}/start/adapter_config.json`);
  const start = own && stored !== undefined ? await readPeftAdapter(`${folder}/start`) : undefined;
  const adapter = await attach(model, {
    method: known,
    rank: config.rank,
    alpha: config.alpha,
    targets: [...factors.keys()],
    dropout: config.dropout,
    ...(start && { init: start.factors }),
    ...(!own && { init: factors }),
  });
  for (const [module, { a, b }] of factors) {
    model.gpu.write(adapter.parameters.get(`${module}.a`)!.value, a.bytes);
    model.gpu.write(adapter.parameters.get(`${module}.b`)!.value, b.bytes);
  }
  return adapter;
}

/**
 * Writes a plain model folder of the function that the model has now: with the weights that "full" trains, or with the
 * branches of an adapter merged into theirs, W + s (B A − B₀ A₀); and the files of its tokenizer.
 *
 * @param dtype What weights are rounded to; "stored" is what the base's matrices are stored as.
 */
export async function saveModel(
  model: Model,
  folder: string,
  dtype: "f32" | "f16" | "bf16" | "stored" = "f32",
): Promise<void> {
  const { gpu, changes } = model;
  const stored = model.weights.get(embeddingName(model.config))!.dtype as "f32" | "f16" | "bf16";
  const rounded = dtype === "stored" ? stored : dtype;
  const tensors = new Map<string, HostTensor>();
  for (const [name, shape] of expectedTensors(model.config)) {
    const weight = changes?.weight(name)?.value ?? model.weights.get(name)!;
    const branch = changes?.branch(name.replace(/\.weight$/, ""));
    using merged = branch && effectiveWeight(gpu, weight, {
      scale: branch.scale,
      trained: { a: branch.a.value, b: branch.b.value },
      ...(branch.start && { start: branch.start }),
    });
    tensors.set(name, asStored(name, hostTensor(shape, await gpu.read(merged ?? weight), rounded)));
  }
  for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
    const text = await readTextIfAny(`${model.source.folder}/${name}`);
    if (text !== undefined) await writeFileAtomic(`${folder}/${name}`, text);
  }
  await writeSafetensors(`${folder}/model.safetensors`, tensors, { format: "pt" });
  await writeFileAtomic(
    `${folder}/config.json`,
    JSON.stringify(modelConfigJson(model.config, rounded), null, 2) + "\n",
  );
}

async function download(model: Model, tensor: Tensor): Promise<HostTensor> {
  return hostTensor(tensor.shape, await model.gpu.read(tensor));
}

/** Last parts of module paths, each once, which is how PEFT names targets. */
function namesOf(modules: Iterable<string>): string[] {
  return [...new Set([...modules].map((module) => module.split(".").at(-1)!))];
}
