import type { ListFileEntry } from "npm:@huggingface/hub@2.17.5";
import type { Digest } from "./digest.ts";
import { isGguf } from "./gguf.ts";
import { type HubName, hubThing, requireInside } from "./hub_name.ts";
import { hasPickle, noPickle, PICKLE } from "./pickle.ts";

/** A file of a repository. */
export interface HubFile {
  /** Path inside the repository. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What its bytes must be; also its name in the cache. */
  readonly digest: Digest;
}

/** The list of the shards, where the weights are several files. */
export const INDEX = "model.safetensors.index.json";

/** Read where they are there, beside config.json and the weights. */
const OPTIONAL = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

/**
 * The files of a listing by their paths.
 *
 * @param spec The specification of the model or data, for errors.
 * @throws {RangeError} If a path would lead out of the folder that the files are put into.
 */
export function entriesByPath(
  entries: readonly ListFileEntry[],
  spec: string,
): ReadonlyMap<string, ListFileEntry> {
  for (const { path } of entries) requireInside(path, spec);
  return new Map(entries.filter(({ type }) => type === "file").map((entry) => [entry.path, entry]));
}

/**
 * One file of a listing. Files in large-file storage have a sha256, the others git's digest.
 *
 * @param spec The specification of the model or data, for errors.
 * @throws {Deno.errors.InvalidData} If the listing gives no digest and size for it.
 */
export function fileOf({ path, size, oid, lfs }: ListFileEntry, spec: string): HubFile {
  const digest: Digest = lfs ? { kind: "sha256", hex: lfs.oid } : { kind: "git", hex: String(oid) };
  const bytes = lfs?.size ?? size;
  const isDigest = new RegExp(`^[0-9a-f]{${lfs ? 64 : 40}}$`).test(digest.hex);
  if (isDigest && Number.isSafeInteger(bytes) && bytes >= 0) return { path, size: bytes, digest };
  throw new Deno.errors.InvalidData(
    `Cannot load ${hubThing(spec)}: found digest ${
      JSON.stringify(digest.hex)
    } and size ${bytes} for ${path}, expected hexadecimal digits and bytes`,
  );
}

/**
 * The files that are needed, of those that a repository has: the one that is named, or of a model config.json, what there is of the
 * tokenizer's files, and model.safetensors or the list of its shards ({@linkcode INDEX}).
 *
 * @param spec The specification of the model or data, for errors.
 * @throws {Deno.errors.NotFound} If the repository lacks what is needed; the error says what it has and what to do.
 */
export function neededFiles(name: HubName, paths: readonly string[], spec: string): string[] {
  const has = (path: string) => paths.includes(path);
  if (name.kind === "dataset" && !has(name.file!)) {
    throw missing(
      spec,
      `no ${name.file}`,
      `one of the files of its folder: ${paths.join(", ") || "it has none"}`,
    );
  }
  const gguf = paths.filter(isGguf);
  const named = `${gguf.slice(0, 5).map((path) => `hf:${name.repo}/${path}`).join(", ")}${
    gguf.length > 5 ? " and others" : ""
  }`;
  if (name.file !== undefined) {
    if (has(name.file)) return [name.file];
    throw missing(
      spec,
      `no ${name.file}`,
      gguf.length ? named : "a .gguf file, of which its folder has none",
    );
  }
  const weights = ["model.safetensors", INDEX].find(has);
  if (weights !== undefined && has("config.json")) {
    return ["config.json", weights, ...OPTIONAL.filter(has)];
  }
  if (weights !== undefined) throw missing(spec, "no config.json", "one beside the weights");
  if (gguf.length) throw missing(spec, "no model.safetensors", `one of its GGUF files by name: ${named}`);
  if (hasPickle(paths)) {
    const python = `AutoModelForCausalLM.from_pretrained("${name.repo}").save_pretrained("folder")`;
    throw missing(
      spec,
      PICKLE,
      noPickle(python, `take a revision that has them (hf:${name.repo}@refs/pr/N)`),
    );
  }
  throw missing(spec, "no weights", `model.safetensors or ${INDEX}`);
}

function missing(spec: string, found: string, expected: string): Error {
  return new Deno.errors.NotFound(`Cannot load ${hubThing(spec)}: found ${found}, expected ${expected}`);
}
