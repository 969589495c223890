import { GpuError } from "../core/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { reservable } from "../gpu/reserve.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { freeBytes } from "../io/free_memory.ts";
import { type DecoderConfig, readModelConfig } from "../io/model_config.ts";
import type { DownloadState } from "../io/hub.ts";
import { resolveModel } from "../io/model_folder.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { loadTokenizer, type Tokenizer } from "../io/tokenizer.ts";
import { checkTensors, expectedTensors } from "../io/weights.ts";
import { rotaryTable } from "../ops/rotary.ts";
import type { Changes, DecoderWeights } from "./decoder.ts";
import { permuteWeight, randomPermutations } from "./permute.ts";

/** A pretrained decoder on the device. Its weights are never changed. */
export class Model implements DecoderWeights, Disposable {
  /** The device. */
  readonly gpu: Gpu;
  /** Where it was loaded from: what was asked for, and the folder or GGUF file. */
  readonly source: { readonly name: string; readonly folder: string };
  /** Architecture. */
  readonly config: DecoderConfig;
  /** Text to ids and back; absent where there is no tokenizer. */
  readonly tokenizer: Tokenizer | undefined;
  /** Weights by their Hugging Face names; matrices as stored, vectors as f32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Cosines and sines of the positions, f32 `[positions, c]`; absent where positions are learned. */
  readonly rotary: Tensor | undefined;
  /** What is attached to the model; undefined is the base itself. */
  changes: Changes | undefined;

  /** Takes ownership of `weights`; use `loadModel`. */
  constructor(
    gpu: Gpu,
    source: { name: string; folder: string },
    config: DecoderConfig,
    tokenizer: Tokenizer | undefined,
    weights: ReadonlyMap<string, Tensor>,
  ) {
    this.gpu = gpu;
    this.source = source;
    this.config = config;
    this.tokenizer = tokenizer;
    this.weights = weights;
    const { context, headWidth, ropeBase, ropeScaling } = config;
    this.rotary = ropeBase === undefined
      ? undefined
      : gpu.keep(gpu.upload(rotaryTable(context, headWidth, ropeBase, ropeScaling), [context, headWidth]));
  }

  /** Frees the weights. */
  [Symbol.dispose](): void {
    for (const weight of this.weights.values()) weight.dispose();
    this.rotary?.dispose();
  }
}

/** Options of `loadModel`. */
export interface LoadOptions {
  /** Device to load to. */
  gpu: Gpu;
  /** Seed of `randomPermutations` to load the weights in: the same function with its features in another order. */
  permutation?: number;
  /** Called after each tensor with the bytes loaded and the bytes in all. */
  onProgress?: (done: number, total: number) => void;
  /** Called as bytes come from the Hugging Face hub. */
  onDownload?: (state: DownloadState) => void;
}

/** Bytes of weights on their way to the device at most, but for a larger one: each waits in a copy until a submit. */
const STAGED_BYTES = 1 << 25;

/**
 * Loads a decoder: `"tiny"` (embedded), `"hf:org/name@revision"` (from the Hugging Face hub, by way of its cache on this
 * machine; also one GGUF file, `"hf:org/name/file.gguf"`), a Hugging Face folder with `config.json`, `model.safetensors` (or its
 * shards) and `tokenizer.json`, or a GGUF file of architecture llama, qwen2, qwen3, gemma or gpt2. Tensors are read one at a
 * time; matrices stay in the type or the blocks they are stored in.
 *
 * @throws {GpuError} If the device does not have the memory, before anything is uploaded.
 * @throws {RangeError} If the architecture is unknown, or a tensor is missing, unexpected or of a wrong shape.
 * @throws {SyntaxError} If a file is malformed.
 * @throws {Deno.errors.NotFound} If there is no such folder, file, model on the hub or revision of it.
 * @throws {Deno.errors.PermissionDenied} If the hub wants a token (`HF_TOKEN`) that may read the model.
 * @throws {Deno.errors.InvalidData} If a file from the hub has other bytes than its list says.
 * @throws {Deno.errors.NotConnected | Deno.errors.Http} If the hub cannot be reached or refuses.
 *
 * @example Usage
 * ```ts ignore
 * import { loadModel, openDevice } from "@olora/kit";
 *
 * using gpu = await openDevice();
 * using model = await loadModel("tiny", { gpu });
 * console.log(model.config.layers);
 * ```
 */
export async function loadModel(
  name: string,
  { gpu, permutation, onProgress, onDownload }: LoadOptions,
): Promise<Model> {
  const folder = await resolveModel(name, { onDownload });
  const config = await readModelConfig(folder);
  const tokenizer = await loadTokenizer(folder).catch((error) => {
    if (error instanceof Error && error.name === "NotFound") return undefined;
    throw error;
  });
  using file = await openModelTensors(folder);
  checkTensors(config, file.tensors, file.fileOf);
  const names = [...expectedTensors(config).keys()];
  const total = names.reduce((sum, name) => sum + file.tensors.get(name)!.byteLength, 0);
  const given = await reservable(gpu, total, freeBytes);
  if (given < total) {
    const [has, wants] = [given, total].map((bytes) => `${(bytes / 1e6).toFixed(0)} MB`);
    throw new GpuError(
      `Cannot load ${name}: ${gpu.info.name} gives ${has} of memory, expected ${wants} for its weights, or a model ` +
        "stored in fewer bits (GGUF's blocks)",
    );
  }
  const orders = permutation === undefined ? undefined : randomPermutations(config, permutation);
  const weights = new Map<string, Tensor>();
  let done = 0;
  let staged = 0;
  try {
    for (const name of names) {
      const read = await file.read(name);
      const host = orders ? permuteWeight(name, read, orders) : read;
      const stored = host.shape.length === 1 ? hostTensor(host.shape, toFloat32(host)) : host;
      weights.set(name, gpu.keep(gpu.uploadHost(stored)));
      done += host.bytes.length;
      staged += host.bytes.length;
      if (staged > STAGED_BYTES) {
        gpu.device.queue.submit([]);
        await gpu.settled();
        staged = 0;
      }
      onProgress?.(done, total);
    }
    gpu.device.queue.submit([]);
    await gpu.settled();
    return new Model(gpu, { name, folder }, config, tokenizer, weights);
  } catch (error) {
    for (const weight of weights.values()) weight.dispose();
    throw error;
  }
}
