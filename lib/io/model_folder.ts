import { EMBEDDED, embeddedFolder } from "./embedded.ts";
import { isGguf } from "./gguf.ts";
import { fetchFromHub, type FetchOptions } from "./hub.ts";
import { isHubName, parseHubName } from "./hub_name.ts";
import { readTextIfAny } from "./json_file.ts";

/**
 * The folder or GGUF file that a model's specification stands for: "tiny" (the model that comes with the kit; "tiny:2" and
 * "tiny:3" are the same from other seeds), a path of a Hugging Face model folder or a .gguf file, or a name on the Hugging
 * Face hub, which is fetched into the cache where it is not there yet (see {@linkcode fetchFromHub}).
 *
 * @param options How a download is reported; nothing else is fetched.
 * @returns A path.
 * @throws {RangeError} If the specification is of a kind that is not supported.
 * @throws {Deno.errors.NotFound} If there is no such file, or the folder has no config.json.
 */
export async function resolveModel(spec: string, options: FetchOptions = {}): Promise<string> {
  if (isHubName(spec)) {
    if (parseHubName(spec).kind === "model") return await fetchFromHub(spec, options);
    throw new RangeError(`Cannot load model ${spec}: found data, expected hf:org/name[@revision]`);
  }
  const supported = `supported are ${
    Object.keys(EMBEDDED).map((name) => `"${name}"`).join(", ")
  }, the path of a Hugging Face folder (config.json, model.safetensors or its shards, tokenizer.json) or of a .gguf file, and hf:org/name[@revision]`;
  if (isGguf(spec)) {
    const found = await Deno.stat(spec).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    if (found?.isFile) return spec;
    throw new Deno.errors.NotFound(`Cannot load model ${spec}: found no such file; ${supported}`);
  }
  const folder = Object.hasOwn(EMBEDDED, spec)
    ? await embeddedFolder(spec)
    : spec.replace(/(?<=.)[/\\]+$/, "");
  if (await readTextIfAny(`${folder}/config.json`) !== undefined) return folder;
  throw new Deno.errors.NotFound(`Cannot load model ${spec}: found no ${folder}/config.json; ${supported}`);
}
