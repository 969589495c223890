import { parseRows, resolveData } from "../io/data_file.ts";
import { startDigest } from "../io/digest.ts";
import { resolveModel } from "../io/model_folder.ts";
import { openModelTensors } from "../io/model_tensors.ts";
import { runIdentity } from "../train/run_config.ts";
import { type MeasuredRun, measureFiles, type Measures } from "./measure.ts";

/** Where and by which code a run is made, as its row records it. */
export type Place = Pick<MeasuredRun, "device" | "variants" | "version">;

/**
 * Tells the runs of a sweep apart, on every machine alike: by their settings and by the contents of all files that they
 * read, wherever these lie. The hash that a row carries adds where the run was made, since other devices, kernel
 * variants and versions give other numbers.
 */
export class RunIdentities {
  readonly #keys: readonly string[];
  readonly #hashes = new Map<string, Promise<string[]>>();

  /** Use {@linkcode identify}. */
  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** The hash of each run when it is made there. */
  hashes({ device, variants, version }: Place): Promise<string[]> {
    const place = `${device} ${JSON.stringify(Object.entries(variants).sort())} ${version}`;
    if (!this.#hashes.has(place)) {
      const hashes = this.#keys.map(async (key) => (await sha256(`${key}\n${place}`)).slice(0, 16));
      this.#hashes.set(place, Promise.all(hashes));
    }
    return this.#hashes.get(place)!;
  }

  /** Those of `rows` that belong to one of the runs, with its number from 0, in the order of the runs. */
  async find(rows: readonly MeasuredRun[]): Promise<{ number: number; row: MeasuredRun }[]> {
    const numbered = rows.map(async (row) => ({ number: (await this.hashes(row)).indexOf(row.run), row }));
    return (await Promise.all(numbered)).filter(({ number }) => number >= 0).sort((a, b) =>
      a.number - b.number
    );
  }

  /** A name for all runs together. */
  async name(): Promise<string> {
    return (await sha256(this.#keys.join("\n"))).slice(0, 8);
  }
}

/**
 * Reads all files that `runs` read, each once; one that is missing counts as such, and fails when its run is made.
 *
 * @throws {Error} If a model is missing or its files make no sense.
 */
export async function identify(
  runs: readonly MeasuredRun["config"][],
  measures: Measures,
): Promise<RunIdentities> {
  const contents = new Map<string, string>();
  const content = async (path: string) => {
    if (!contents.has(path)) contents.set(path, await digestOf(path).catch(ifMissing));
    return contents.get(path)!;
  };
  const data = async (spec: string) => {
    const { file } = parseRows(spec);
    if (!contents.has(file)) contents.set(file, await digestOf(await resolveData(file)).catch(ifMissing));
    return `${contents.get(file)}${spec.slice(file.length)}`;
  };
  const models = new Map<string, readonly string[]>();
  const keys: string[] = [];
  for (const run of runs) {
    if (!models.has(run.model)) models.set(run.model, await modelFiles(run.model));
    const parts = [
      runIdentity(withoutPaths(run)),
      await data(run.data),
      await data(run.evaluation?.data ?? run.data),
    ];
    for (const { file, task } of measureFiles(measures)) {
      parts.push(task === undefined ? await data(file) : `${task} ${await data(file)}`);
    }
    for (const file of [...models.get(run.model)!, ...startFiles(run)]) parts.push(await content(file));
    keys.push(parts.join("\n"));
  }
  return new RunIdentities(keys);
}

/** The settings of a run with the paths taken out, whose contents stand for them. */
function withoutPaths(run: MeasuredRun["config"]): MeasuredRun["config"] {
  const { init: _, evaluation, ...rest } = run;
  return { ...rest, model: "", data: "", ...(evaluation && { evaluation: { ...evaluation, data: "" } }) };
}

async function modelFiles(model: string): Promise<string[]> {
  const folder = await resolveModel(model);
  using weights = await openModelTensors(folder);
  return [`${folder}/config.json`, ...weights.paths, `${folder}/tokenizer.json`];
}

function startFiles({ init }: MeasuredRun["config"]): string[] {
  return init === undefined
    ? []
    : ["adapter_config.json", "adapter_model.safetensors"].map((name) => `${init}/${name}`);
}

/** The sha256 of a file, which may be larger than memory. */
async function digestOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const digest = await startDigest("sha256", size);
  const block = new Uint8Array(1 << 20);
  for (let count = await file.read(block); count !== null; count = await file.read(block)) {
    digest.update(block.subarray(0, count));
  }
  return digest.hex();
}

function ifMissing(error: unknown): string {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "none";
  throw error;
}

async function sha256(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...digest].map((b) => b.toString(16).padStart(2, "0")).join("");
}
