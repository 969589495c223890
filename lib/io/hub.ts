import type { ListFileEntry } from "npm:@huggingface/hub@2.17.5";
import { download } from "./download.ts";
import { ask, type Asked, bytesOf, PATIENCE, type Patience, persist } from "./http.ts";
import { HubCache, isCommit } from "./hub_cache.ts";
import { entriesByPath, fileOf, type HubFile, INDEX, neededFiles } from "./hub_files.ts";
import { type HubName, hubThing, parseHubName } from "./hub_name.ts";
import { type HubSettings, hubSettings } from "./hub_settings.ts";
import { readTextIfAny } from "./json_file.ts";
import { parseIndex } from "./model_tensors.ts";

/** How far a download is. */
export interface DownloadState {
  /** The file that is coming. */
  readonly file: string;
  /** Bytes that are there, of the files that were not in the cache. */
  readonly done: number;
  /** Bytes of those files. */
  readonly total: number;
  /** Bytes that were there before. */
  readonly resumedAt: number;
}

/** Options of a download. */
export interface FetchOptions {
  /** Called as bytes come; not at all where everything is in the cache. */
  onDownload?: (state: DownloadState) => void;
  /** Called with what a user should know, e.g. that the hub was not reached and the cache was used. */
  onNote?: (note: string) => void;
  /** Which hub and cache; by default what the environment says ({@linkcode hubSettings}). */
  settings?: HubSettings;
  /** How long and how often the hub is waited for. */
  patience?: Patience;
}

/**
 * The folder or file in the cache that a name on the hub stands for, fetched where it is not there yet: only the files
 * that are needed, each checked against its digest, in the layout that Python's huggingface_hub reads and writes. Where the hub
 * cannot be reached, what the revision was last is used if it is whole.
 *
 * @param spec `hf:org/name`, `hf:org/name@revision`, `hf:org/name/file.gguf@revision` or
 * `hf:datasets/org/name/file@revision`.
 * @returns A path.
 * @throws {RangeError} If the name, or a file name that the hub gives, cannot be used.
 * @throws {Deno.errors.NotFound} If there is no such repository, revision or file, or no weights that can be read.
 * @throws {Deno.errors.PermissionDenied} If a token is needed; the error says so.
 * @throws {Deno.errors.InvalidData} If a file's bytes are not those that the hub lists.
 * @throws {Deno.errors.NotConnected | Deno.errors.Http} If the hub cannot be reached or refuses.
 */
export async function fetchFromHub(spec: string, options: FetchOptions = {}): Promise<string> {
  return await fetchNamed(parseHubName(spec), spec, options);
}

/**
 * As {@linkcode fetchFromHub}, of a model folder only config.json, which says how large the model is.
 *
 * @returns Its path.
 */
export async function fetchConfig(spec: string, options: FetchOptions = {}): Promise<string> {
  return await fetchNamed({ ...parseHubName(spec), file: "config.json" }, spec, options);
}

async function fetchNamed(name: HubName, spec: string, options: FetchOptions): Promise<string> {
  const { settings = await hubSettings(), patience = PATIENCE, onNote } = options;
  const cache = new HubCache(settings.cache, name);
  const kept = await wholeCopy(cache, name);
  // A file of a commit never changes; a folder may lack a tokenizer that another program had no need of.
  if (kept !== undefined && name.file !== undefined && isCommit(name.revision)) return kept;
  if (settings.isOffline) {
    if (kept !== undefined) return kept;
    throw new Deno.errors.NotFound(
      `Cannot load ${
        hubThing(spec)
      } offline: found it not whole in ${settings.cache}, expected it there as HF_HUB_OFFLINE is set`,
    );
  }
  const hub = new Hub(spec, name, settings, patience);
  const listing = await hub.list(kept === undefined ? patience.attempts : 1).catch((error) => {
    if (kept === undefined || !isOutOfReach(error)) throw error;
    onNote?.(`${error.message}; using what ${name.revision} was last`);
  });
  if (!listing) return kept!;
  const { commit, entries } = listing;
  const paths = neededFiles(name, [...entries.keys()], spec);
  const files = paths.map((path) => fileOf(entries.get(path)!, spec));
  const index = files.find(({ path }) => path === INDEX);
  if (index) {
    await fetchFiles(hub, cache, commit, [index], options);
    files.push(...await shardsOf(`${cache.snapshot(commit)}/${INDEX}`, entries, spec));
  }
  await fetchFiles(hub, cache, commit, files, options);
  await cache.setCommit(name.revision, commit);
  return placeOf(cache, name, commit);
}

/** Whether the error says that the hub was not reached, or is not well, rather than that the model is not there. */
export function isOutOfReach(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.Http;
}

/** A commit and its files. */
interface Listing {
  readonly commit: string;
  readonly entries: ReadonlyMap<string, ListFileEntry>;
}

/** Requests to one repository. */
class Hub {
  readonly #spec: string;
  readonly #name: HubName;
  readonly #settings: HubSettings;
  readonly #patience: Patience;

  constructor(spec: string, name: HubName, settings: HubSettings, patience: Patience) {
    [this.#spec, this.#name, this.#settings, this.#patience] = [spec, name, settings, patience];
  }

  /** Address of the repository. */
  get #place(): string {
    const { kind, repo } = this.#name;
    return `${this.#settings.endpoint}/${kind === "dataset" ? "datasets/" : ""}${repo}`;
  }

  /** The commit that the revision is, and its files; of a file's name only those of its folder. */
  async list(attempts: number): Promise<Listing> {
    try {
      return await this.#list({ ...this.#patience, attempts });
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      throw new Deno.errors.InvalidData(
        `Cannot fetch ${this.#spec}: found an answer that is not the hub's (${error.message})`,
      );
    }
  }

  async #list(patience: Patience): Promise<Listing> {
    // Loaded here, so that a model on disk needs none of it.
    const { datasetInfo, listFiles, modelInfo } = await import("npm:@huggingface/hub@2.17.5");
    const { kind, repo, revision, file } = this.#name;
    const named = { name: repo, revision, additionalFields: ["sha" as const] };
    const hub = { hubUrl: this.#settings.endpoint, fetch: this.#fetch(patience) };
    const commit = isCommit(revision) ? revision : String(
      (await (kind === "dataset" ? datasetInfo({ ...hub, ...named }) : modelInfo({ ...hub, ...named })))
        .sha,
    );
    if (!isCommit(commit)) throw new TypeError(`Cannot use commit ${commit}: expected 40 hexadecimal digits`);
    const folder = file?.includes("/") ? { path: address(file.slice(0, file.lastIndexOf("/"))) } : {};
    const found: ListFileEntry[] = [];
    const listing = listFiles({ ...hub, repo: { type: kind, name: repo }, revision: commit, ...folder });
    for await (const entry of listing) found.push(entry);
    return { commit, entries: entriesByPath(found, this.#spec) };
  }

  /** Fetches one file to `path`. */
  async download(
    file: HubFile,
    commit: string,
    path: string,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const url = `${this.#place}/resolve/${commit}/${address(file.path)}`;
    const { size, digest } = file;
    const wanted = { ...this.#asked(url, `${file.path} of ${this.#spec}`), path, size, digest };
    await download(wanted, this.#patience, onBytes);
  }

  /** A `fetch` for the hub's library with our patience and our care for the token; it answers or throws. */
  #fetch(patience: Patience): typeof fetch {
    let requests = 0;
    return async (url) => {
      // A listing has a thousand files a page; one that never ends is not a model's.
      if (++requests > 100) {
        throw new Deno.errors.InvalidData(`Cannot fetch ${this.#spec}: its list does not end`);
      }
      const asked = this.#asked(String(url), this.#spec);
      return await persist(asked.what, patience, async () => {
        const answer = await ask(asked, patience);
        return new Response(await bytesOf(answer, asked.what), { headers: answer.headers });
      });
    };
  }

  #asked(url: string, what: string): Asked {
    const { endpoint, authorization } = this.#settings;
    const { kind, repo, revision } = this.#name;
    return {
      url,
      what,
      authorization,
      explain: (status, code) => {
        const hasToken = authorization(endpoint).authorization !== undefined;
        if (status === 401 || status === 403) {
          return hasToken
            ? `the token in HF_TOKEN may not read it; if it is gated, accept its terms at ${this.#place}`
            : `it is private, gated or not there; set HF_TOKEN to a token that may read it`;
        }
        if (status !== 404) return undefined;
        if (code === "RevisionNotFound") return `there is no revision ${revision} of ${repo}`;
        if (code === "EntryNotFound") return `${repo} has no such file`;
        return `there is no ${kind} ${repo}${
          revision === "main" ? "" : ` or no revision ${revision} of it`
        }` +
          (hasToken ? "" : "; a private one needs HF_TOKEN");
      },
    };
  }
}

/** Fetches what is not there, one file after the other. */
async function fetchFiles(
  hub: Hub,
  cache: HubCache,
  commit: string,
  files: readonly HubFile[],
  { onDownload, onNote }: FetchOptions,
): Promise<void> {
  const absent: HubFile[] = [];
  for (const file of files) {
    if (!await cache.has(commit, file.path, file.digest.hex, file.size)) absent.push(file);
  }
  const total = absent.reduce((sum, { size }) => sum + size, 0);
  let [before, resumedAt] = [0, 0];
  for (const file of files) {
    const { path, size, digest } = file;
    const make = async (blob: string) => {
      let isFirst = true;
      await hub.download(file, commit, blob, (bytes) => {
        if (isFirst) resumedAt += bytes;
        isFirst = false;
        onDownload?.({ file: path, done: before + bytes, total, resumedAt });
      });
    };
    const onWait = () => onNote?.(`another process is fetching ${path}; waiting for it`);
    await cache.put(commit, path, digest.hex, size, make, onWait);
    if (absent.includes(file)) before += size;
  }
}

/** The shards that an index lists, of those that the repository has. */
async function shardsOf(
  index: string,
  entries: ReadonlyMap<string, ListFileEntry>,
  model: string,
): Promise<HubFile[]> {
  const shards = [...new Set(parseIndex(await Deno.readTextFile(index), index).values())].sort();
  return shards.map((path) => {
    const entry = entries.get(path);
    if (entry) return fileOf(entry, model);
    throw new Deno.errors.NotFound(
      `Cannot load model ${model}: found no ${path}, expected it as ${INDEX} lists it`,
    );
  });
}

/** What is named, in the cache as the revision was last, if it is whole. */
async function wholeCopy(cache: HubCache, name: HubName): Promise<string | undefined> {
  const commit = await cache.commit(name.revision);
  if (commit === undefined) return undefined;
  const folder = cache.snapshot(commit);
  const has = (path: string) => Deno.stat(`${folder}/${path}`).then(({ isFile }) => isFile, () => false);
  const place = placeOf(cache, name, commit);
  if (name.file !== undefined) return await has(name.file) ? place : undefined;
  if (!await has("config.json")) return undefined;
  if (await has("model.safetensors")) return place;
  const index = await readTextIfAny(`${folder}/${INDEX}`);
  if (index === undefined) return undefined;
  const shards = new Set(parseIndex(index, `${folder}/${INDEX}`).values());
  return (await Promise.all([...shards].map(has))).every(Boolean) ? place : undefined;
}

function placeOf(cache: HubCache, { file }: HubName, commit: string): string {
  return file === undefined ? cache.snapshot(commit) : `${cache.snapshot(commit)}/${file}`;
}

/** A path as a part of an address. */
function address(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
