import { type BlockDType, type DType, isBlockDType } from "../core/dtype.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { writeFileAtomic } from "../io/atomic.ts";
import { isGguf } from "../io/gguf.ts";
import { readGgufTokenizer } from "../io/gguf_tokenizer.ts";
import { readTextIfAny } from "../io/json_file.ts";
import { type DecoderConfig, modelConfigJson } from "../io/model_config.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { streamSafetensors } from "../io/safetensors.ts";
import { asStored, infoAsStored } from "../io/stored_form.ts";
import { embeddingName, expectedTensors, HEAD, linearModules } from "../io/weights.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Branch } from "../nn/decoder.ts";
import type { Model } from "../nn/model.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { rowNorms } from "../ops/magnitude.ts";
import { changeOf } from "./adapter.ts";
import { layerWeight } from "./layer_weight.ts";

/** What weights are rounded to when a model is written. */
export type SavedDType = "f32" | "f16" | "bf16";

/** What a merge came to. */
export interface MergeReport {
  /** What the weights were rounded to; of "stored" that of the embedding. */
  readonly dtype: SavedDType;
  /** Layers whose whole change dW the rounding took away: what is written there is the base, rounded. */
  readonly lost: readonly string[];
}

/**
 * Writes a plain model folder of the function that the model has now: with the weights that "full" trains, or with the
 * branches of an adapter merged into theirs, W + s (B A − B₀ A₀), rows scaled to a magnitude; and the files of its
 * tokenizer, which for a GGUF file are made of its metadata. W is widened and the sum made in f32, and rounded once. A head
 * that was tied and is not what the embedding is any more is written by itself.
 *
 * @param dtype What weights are rounded to; "stored" is what each is stored as in the base, so that those which nothing changed
 * keep their bits.
 * @returns What rounding did to the adapter.
 * @throws {RangeError} If `dtype` is "stored" and the base is stored in blocks, or a branch has a bias and its layer none; or if
 * a weight is larger than `dtype` holds, in which case no weights are written.
 */
export async function saveModel(
  model: Model,
  folder: string,
  dtype: SavedDType | "stored" = "f32",
): Promise<MergeReport> {
  const { gpu, changes } = model;
  const dtypeOf = dtype === "stored" ? await storedDTypes(model) : () => dtype;
  const rounded = dtypeOf(embeddingName(model.config));
  const config = mergedConfig(model);
  const shapes = expectedTensors(config);
  for (const module of linearModules(config).keys()) {
    if (!changes?.branch(module)?.bias || shapes.has(`${module}.bias`)) continue;
    throw new RangeError(
      `Cannot merge ${module}: its adapter has a bias (lora_bias), expected none, as the layer has none`,
    );
  }
  const lost = new Set<string>();
  const merged = async (name: string): Promise<HostTensor> => {
    const shape = shapes.get(name)!;
    const weight = changes?.weight(name)?.value ?? model.weights.get(name)!;
    const module = moduleOf(name);
    const branch = changes?.branch(module);
    const other = changes?.layer?.(module);
    using effective = branch
      ? effectiveWeight(gpu, weight, changeOf(branch))
      : other && layerWeight(gpu, other, weight);
    const values = await gpu.read(effective ?? weight);
    const layer = name.endsWith(".bias") ? changes?.branch(name.slice(0, -".bias".length)) : undefined;
    if (layer?.bias) {
      (await gpu.read(layer.bias.value)).forEach((c, i) => values[i] += layer.scale * c);
    }
    const own = dtypeOf(name);
    requireHeld(name, values, own);
    const tensor = hostTensor(shape, values, own);
    if (branch || other) {
      const base = await gpu.read(weight);
      const before = hostTensor(shape, base, own);
      const isBase = before.bytes.every((byte, i) => byte === tensor.bytes[i]);
      const changed = () =>
        branch ? changesAnything(model, weight, branch) : values.some((value, i) => value !== base[i]);
      if (isBase && await changed()) lost.add(module);
    }
    return asStored(name, tensor);
  };
  const infos = [...shapes].map(([name, shape]) =>
    [name, infoAsStored(name, { dtype: dtypeOf(name), shape })] as const
  );
  await streamSafetensors(`${folder}/model.safetensors`, new Map(infos), merged);
  await saveTokenizer(model, folder);
  await writeFileAtomic(
    `${folder}/config.json`,
    JSON.stringify(modelConfigJson(config, rounded), null, 2) + "\n",
  );
  return { dtype: rounded, lost: [...shapes.keys()].map(moduleOf).filter((module) => lost.has(module)) };
}

/** The model's configuration, untied where the head is not what the embedding is any more. */
function mergedConfig({ config, changes, weights }: Model): DecoderConfig {
  const name = embeddingName(config);
  const head = changes?.weight(HEAD)?.value;
  const embedding = changes?.weight(name)?.value ?? weights.get(name);
  return head && head !== embedding ? { ...config, tiedEmbeddings: false } : config;
}

function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, "");
}

/** What each of the base's tensors is stored as; a head that it has not, as its embedding. Its vectors are f32 on the device. */
async function storedDTypes({ config, weights, source }: Model): Promise<(name: string) => SavedDType> {
  const blocks = blockDType(weights);
  if (blocks) {
    throw new RangeError(
      `Cannot merge into ${blocks}: the base is quantised, expected one of f32, f16 and bf16 to be chosen`,
    );
  }
  using file = await openModelTensors(source.folder);
  const dtypes = new Map(
    [...file.tensors].map(([name, { dtype }]) => [name, dtype.toLowerCase() as SavedDType]),
  );
  const embedding = dtypes.get(embeddingName(config))!;
  return (name) => dtypes.get(name) ?? embedding;
}

/** The blocks that weights of the model are stored in; undefined where none are. */
export function blockDType(weights: Model["weights"]): BlockDType | undefined {
  for (const { dtype } of weights.values()) if (isBlockDType(dtype)) return dtype;
}

/** Requires that rounding to `dtype` makes no finite number infinite. */
function requireHeld(name: string, values: Float32Array, dtype: SavedDType): void {
  const most = LARGEST[dtype] ?? Infinity;
  const rounded = (x: number) => toFloat32(hostTensor([1], Float32Array.of(x), dtype))[0];
  const found = values.find((x) => Math.abs(x) > most && Number.isFinite(x) && !Number.isFinite(rounded(x)));
  if (found === undefined) return;
  throw new RangeError(`Cannot write ${name} in ${dtype}: found ${found}, expected |w| <= ${most}, or f32`);
}

/** The largest numbers of the types that hold less than f32. */
const LARGEST: Partial<Record<DType, number>> = { f16: 65504, bf16: (2 - 2 ** -7) * 2 ** 127 };

/** Whether s (B A − B₀ A₀), which is made on a base of zeros, has an entry that is not zero; or rows have other lengths. */
async function changesAnything({ gpu }: Model, weight: Tensor, branch: Branch): Promise<boolean> {
  const { magnitude, ...added } = changeOf(branch);
  using zero = gpu.keep(gpu.tensor(weight.shape));
  gpu.clear(zero);
  using change = effectiveWeight(gpu, zero, added);
  if ((await gpu.read(change)).some((x) => x !== 0)) return true;
  if (!magnitude) return false;
  using dense = effectiveWeight(gpu, weight);
  using norm = rowNorms(gpu, dense);
  const [lengths, before] = [await gpu.read(magnitude), await gpu.read(norm)];
  return lengths.some((m, i) => m !== before[i]);
}

async function saveTokenizer({ source }: Model, folder: string): Promise<void> {
  const texts = isGguf(source.folder) ? await ggufTexts(source.folder) : await folderTexts(source.folder);
  for (const [name, text] of Object.entries(texts)) await writeFileAtomic(`${folder}/${name}`, text);
}

async function folderTexts(from: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (
    const name of [
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
      "chat_template.jinja",
      "generation_config.json",
    ]
  ) {
    const text = await readTextIfAny(`${from}/${name}`);
    if (text !== undefined) texts[name] = text;
  }
  return texts;
}

async function ggufTexts(path: string): Promise<Record<string, string>> {
  const made = await readGgufTokenizer(path).catch((error) => {
    if (error instanceof Error && error.name === "NotFound") return undefined;
    throw error;
  });
  if (!made) return {};
  const { json, files: { tokenizerConfig, generationConfig, chatTemplate } } = made;
  return {
    "tokenizer.json": JSON.stringify(json),
    ...(tokenizerConfig && { "tokenizer_config.json": JSON.stringify(tokenizerConfig) }),
    ...(generationConfig && { "generation_config.json": JSON.stringify(generationConfig) }),
    ...(chatTemplate !== undefined && { "chat_template.jinja": chatTemplate }),
  };
}
