/**
 * `deno task make-data`: makes the text and the tokenizer of data/tiny anew and checks them against
 * data/manifest.json; with `--write` it writes them and the manifest.
 *
 * @module
 */
import { makeFiles, NEW_FACT_BITS, type SplitFigures, VOCABULARY } from "./files.ts";
import { WORLD_SEED } from "./pretrain_batches.ts";

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

if (import.meta.main) {
  if (Deno.args.includes("--write")) await write();
  const wrong = await differences();
  for (const path of wrong) console.error(`differs from data/manifest.json: data/${path}`);
  if (wrong.length > 0) Deno.exit(1);
  console.log("text and tokenizer are those of data/manifest.json, bit for bit");
}
