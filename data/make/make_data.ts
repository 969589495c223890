/**
 * `deno task make-data [SEED …]`: makes the text and the tokenizer of data/tiny anew, pretrains the bases of these seeds
 * anew in out/ (default 1, half an hour on two cores; Ctrl-C stops, the same command goes on), and checks all of it
 * against data/manifest.json. `--text` leaves the bases out; `--write` writes text, tokenizer and manifest instead.
 *
 * @module
 */
import { makeFiles, NEW_FACT_BITS, type SplitFigures, VOCABULARY } from "./files.ts";
import { WORLD_SEED } from "./pretrain_batches.ts";
import { pretrain } from "./pretrain.ts";

const DATA = new URL("../", import.meta.url);

/** data/manifest.json. */
export interface Manifest {
  readonly seed: number;
  readonly vocabulary: number;
  readonly newFactBits: number;
  /** Size and sha256 of each file under data/, by path. */
  readonly files: Readonly<Record<string, FileEntry>>;
  readonly splits: Readonly<Record<string, SplitFigures>>;
}

/** What the manifest holds of a file. */
export interface FileEntry {
  readonly bytes: number;
  readonly sha256: string;
}

/** The generated files as bytes, by path under data/, and the manifest that describes them. */
export async function generate(): Promise<
  { contents: Map<string, Uint8Array<ArrayBuffer>>; manifest: Manifest }
> {
  const { files, splits } = makeFiles();
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  const entries: Record<string, FileEntry> = {};
  for (const [path, text] of files) {
    const bytes = new TextEncoder().encode(text);
    contents.set(`tiny/${path}`, bytes);
    entries[`tiny/${path}`] = await describe(bytes);
  }
  return {
    contents,
    manifest: {
      seed: WORLD_SEED,
      vocabulary: VOCABULARY,
      newFactBits: NEW_FACT_BITS,
      files: entries,
      splits,
    },
  };
}

/** Size and sha256 of `bytes`. */
export async function describe(bytes: Uint8Array<ArrayBuffer>): Promise<FileEntry> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { bytes: bytes.length, sha256: [...digest].map((b) => b.toString(16).padStart(2, "0")).join("") };
}

async function write(): Promise<void> {
  const { contents, manifest } = await generate();
  for (const [path, bytes] of contents) {
    const url = new URL(path, DATA);
    await Deno.mkdir(new URL("./", url), { recursive: true });
    await Deno.writeFile(url, bytes);
  }
  const files: Record<string, FileEntry> = { ...await weights(), ...manifest.files };
  await Deno.writeTextFile(
    new URL("manifest.json", DATA),
    JSON.stringify({ ...manifest, files }, null, 2) + "\n",
  );
}

/** Entries of the manifest that the generator does not make: the weights. */
async function weights(): Promise<Record<string, FileEntry>> {
  const entries: Record<string, FileEntry> = {};
  for (const folder of ["", "seed-2/", "seed-3/"]) {
    const path = `tiny/${folder}model.safetensors`;
    try {
      entries[path] = await describe(await Deno.readFile(new URL(path, DATA)));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return entries;
}

/** Paths whose generated bits are not those that the manifest names. */
export async function differences(): Promise<string[]> {
  const { manifest } = await generate();
  const stored: Manifest = JSON.parse(await Deno.readTextFile(new URL("manifest.json", DATA)));
  return Object.keys(manifest.files).filter((path) =>
    stored.files[path]?.sha256 !== manifest.files[path].sha256
  );
}

/** Whether the base of `seed`, pretrained anew, is that of the manifest; undefined if stopped. */
async function sameBase(seed: number): Promise<boolean | undefined> {
  const made = await pretrain(seed);
  if (made === undefined) return undefined;
  const { sha256 } = await describe(await Deno.readFile(`${made}/model.safetensors`));
  const { files }: Manifest = JSON.parse(await Deno.readTextFile(new URL("manifest.json", DATA)));
  return files[`tiny/${seed === 1 ? "" : `seed-${seed}/`}model.safetensors`]?.sha256 === sha256;
}

if (import.meta.main) {
  const seeds = Deno.args.filter((word) => !word.startsWith("--")).map(Number);
  if (Deno.args.includes("--write")) await write();
  const wrong = await differences();
  for (const path of wrong) console.error(`differs from data/manifest.json: data/${path}`);
  if (wrong.length > 0) Deno.exit(1);
  console.log("text and tokenizer are those of data/manifest.json, bit for bit");
  if (Deno.args.includes("--text") || Deno.args.includes("--write")) Deno.exit(0);
  for (const seed of seeds.length ? seeds : [1]) {
    const same = await sameBase(seed);
    if (same === undefined) break;
    console.log(
      same
        ? `base ${seed} is that of data/manifest.json, bit for bit`
        : `base ${seed} differs from data/manifest.json: another adapter, driver or version rounds differently`,
    );
    if (!same) Deno.exit(1);
  }
}
