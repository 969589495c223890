import { VERSION } from "../core/version.ts";
import { writeFileAtomic } from "./atomic.ts";
import { startDigest } from "./digest.ts";
import { ask, bytesOf, PATIENCE, persist } from "./http.ts";
import { parseJson, readTextIfAny } from "./json_file.ts";

/** The models that come with the kit: the folder in data/ of the name that stands for each. */
export const EMBEDDED: Readonly<Record<string, string>> = {
  "tiny": "tiny",
  "tiny:2": "tiny/seed-2",
  "tiny:3": "tiny/seed-3",
};

/** What a model's folder must hold to be whole; the last one is put there last. */
const FILES = ["tokenizer.json", "model.safetensors", "config.json"];

/**
 * The folder of a model that comes with the kit. Where the kit's code was imported from a server, its files are fetched from
 * there into `XDG_CACHE_HOME`/olora-kit/version (~/.cache by default), each checked by the digest in data/manifest.json.
 *
 * @param data Where data/ is, by default beside the library that this file is of.
 * @param env The environment; this process's by default.
 * @throws {Deno.errors.InvalidData} If a file has other bytes than the manifest says.
 * @throws {Deno.errors.NotFound | Deno.errors.NotConnected | Deno.errors.Http} If the server cannot be reached or has no such file.
 */
export async function embeddedFolder(
  name: keyof typeof EMBEDDED,
  data: URL = new URL("../../data/", import.meta.url),
  env: { get(name: string): string | undefined } = Deno.env,
): Promise<string> {
  const place = EMBEDDED[name];
  if (data.protocol === "file:") {
    const path = decodeURIComponent(new URL(place, data).pathname);
    return Deno.build.os === "windows" ? path.slice(1) : path;
  }
  const home = env.get("HOME") || env.get("USERPROFILE") || ".";
  const folder = `${env.get("XDG_CACHE_HOME") || `${home}/.cache`}/olora-kit/${VERSION}/${place}`;
  if (await readTextIfAny(`${folder}/config.json`) !== undefined) return folder;
  const manifest = new TextDecoder().decode(await fetched(new URL("manifest.json", data)));
  const files = (parseJson(manifest, "manifest.json") as unknown as Manifest).files;
  for (const file of FILES) {
    const url = new URL(`${place}/${file}`, data);
    const bytes = await fetched(url);
    const { sha256 } = files[`${place}/${file}`];
    const digest = await startDigest("sha256", bytes.length);
    digest.update(bytes);
    const found = digest.hex();
    if (found !== sha256) {
      throw new Deno.errors.InvalidData(`Cannot fetch ${url}: found sha256 ${found}, expected ${sha256}`);
    }
    await writeFileAtomic(`${folder}/${file}`, bytes);
  }
  return folder;
}

interface Manifest {
  readonly files: Readonly<Record<string, { readonly sha256: string }>>;
}

function fetched(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const what = url.href;
  return persist(what, PATIENCE, async () => await bytesOf(await ask({ url: what, what }, PATIENCE), what));
}
