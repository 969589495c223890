import type { HostTensor } from "../core/host_tensor.ts";
import { isGguf } from "./gguf.ts";
import { openGgufModel } from "./gguf_model.ts";
import { parseJsonObject } from "./json_file.ts";
import { hasPickleIn, noPickle, PICKLE } from "./pickle.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";
import type { TensorInfo } from "./safetensors_format.ts";
import { fullName, infoWithRowsOut, withRowsOut } from "./stored_form.ts";

/** The tensors of a model, whether it is one file or many shards. */
export interface ModelTensors extends Disposable {
  /** The files that hold them. */
  readonly paths: readonly string[];
  /** All tensors by name. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The file that holds the tensor of this name; of one that is not there, the file that should list it. */
  fileOf(name: string): string;
  /**
   * Reads one tensor from the shard that holds it.
   *
   * @throws {RangeError} If there is no such tensor.
   * @throws {TypeError} If its element type cannot be read.
   */
  read(name: string): Promise<HostTensor>;
  /** Closes the files; also what `using` calls. */
  close(): void;
}

/**
 * Opens `model.safetensors` of a Hugging Face model folder, or else the shards that
 * `model.safetensors.index.json` lists; or a GGUF file, whose tensors then have their Hugging Face names. Names are whole
 * ("transformer.h.0…") and matrices of linear layers `[out, in]`, also where the file has it otherwise.
 *
 * @throws {Deno.errors.NotFound} If the folder has neither, or a shard is missing.
 * @throws {SyntaxError} If a file is malformed, or the index disagrees with the shards.
 */
export async function openModelTensors(folder: string): Promise<ModelTensors> {
  if (isGguf(folder)) return await openGgufModel(folder);
  const single = `${folder}/model.safetensors`;
  const index = `${folder}/model.safetensors.index.json`;
  if (await exists(single)) return view(single, [await openSafetensors(single)]);
  if (!await exists(index)) {
    const [found, expected] = await hasPickleIn(folder)
      ? [PICKLE, noPickle(`AutoModelForCausalLM.from_pretrained("${folder}").save_pretrained("folder")`)]
      : ["neither", "model.safetensors or model.safetensors.index.json"];
    throw new Deno.errors.NotFound(
      `Cannot read the weights of ${folder}: found ${found}, expected ${expected}`,
    );
  }
  const weightMap = parseIndex(await Deno.readTextFile(index), index);
  const files: SafetensorsFile[] = [];
  try {
    for (const shard of [...new Set(weightMap.values())].sort()) {
      if (!await exists(`${folder}/${shard}`)) {
        throw new Deno.errors.NotFound(`Cannot read ${folder}/${shard}: missing, but ${index} lists it`);
      }
      files.push(await openSafetensors(`${folder}/${shard}`));
    }
    for (const [name, shard] of weightMap) {
      if (files.some((file) => file.path === `${folder}/${shard}` && file.tensors.has(name))) continue;
      throw new SyntaxError(
        `Cannot read tensor ${name}: ${folder}/${shard} lacks it, but ${index} places it there`,
      );
    }
    return view(index, files);
  } catch (error) {
    files.forEach((file) => file.close());
    throw error;
  }
}

/**
 * The shard of each tensor, from the text of a `model.safetensors.index.json`.
 *
 * @throws {SyntaxError} If the text is not JSON or has no well-formed `weight_map` of plain file names.
 */
export function parseIndex(text: string, name: string): Map<string, string> {
  const map = parseJsonObject(text, name).weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new SyntaxError(`Cannot read ${name}: expected an object weight_map`);
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new SyntaxError(
        `Cannot read ${name}: tensor ${tensor} is in ${
          JSON.stringify(file)
        }, expected a .safetensors file of this folder`,
      );
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}

function view(list: string, files: SafetensorsFile[]): ModelTensors {
  const owner = new Map<string, { file: SafetensorsFile; own: string }>();
  for (const file of files) {
    for (const own of file.tensors.keys()) {
      const name = fullName(own);
      const other = owner.get(name);
      if (other) {
        throw new SyntaxError(`Cannot read tensor ${name}: ${other.file.path} and ${file.path} both hold it`);
      }
      owner.set(name, { file, own });
    }
  }
  const close = () => files.forEach((file) => file.close());
  return {
    paths: files.map((file) => file.path),
    tensors: new Map(
      [...owner].map(([name, { file, own }]) => [name, infoWithRowsOut(name, file.tensors.get(own)!)]),
    ),
    fileOf: (name) => owner.get(name)?.file.path ?? list,
    async read(name) {
      const found = owner.get(name);
      if (!found) throw new RangeError(`Cannot read tensor ${name}: ${list} has no tensor of that name`);
      return withRowsOut(name, await found.file.read(found.own));
    },
    close,
    [Symbol.dispose]: close,
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
