import type { HostTensor } from "../core/host_tensor.ts";
import { replaceAdapter, requireOneForm } from "./adapter_folder.ts";
import { writeFileAtomic } from "./atomic.ts";
import { readJson, readJsonIfAny, readTextIfAny } from "./json_file.ts";
import { parsePeftConfig, type PeftAdapter, peftConfigJson, unknownPeftFields } from "./peft_format.ts";
import {
  openPeftTensors,
  parseTensorName,
  peftTensors,
  refuseEmbeddings,
  sortTensors,
} from "./peft_tensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";

const CONFIG = "adapter_config.json";
const TENSORS = "adapter_model.safetensors";

/** Metadata of the tensors' file: the sha256 of that of the start which they were trained from. */
const START_DIGEST = "start_sha256";

/** Metadata of a start that was written here, and so belongs to an adapter that says which it is. */
const START_OF = "start_of";

/**
 * Reads an adapter folder as PEFT writes it: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * Source: the format of huggingface/peft, 0.21.
 *
 * @throws {Deno.errors.NotFound} If a file is missing.
 * @throws {SyntaxError} If a file is malformed.
 * @throws {RangeError} If the adapter is of a kind that is not supported, or factors and settings disagree; or the folder
 * holds one in the kit's own form too.
 */
export async function readPeftAdapter(folder: string): Promise<PeftAdapter> {
  await requireOneForm(folder);
  const name = `${folder}/${CONFIG}`;
  const json = await readJson(name);
  const config = parsePeftConfig(json, name);
  using file = await openPeftTensors(folder);
  refuseEmbeddings(config, file.tensors.keys(), name);
  const tensors = new Map<string, HostTensor>();
  for (const tensor of file.tensors.keys()) {
    parseTensorName(tensor, file.path);
    tensors.set(tensor, await file.read(tensor));
  }
  const sorted = sortTensors(config, tensors, file.path);
  const targetModules = config.targetModules.length ? config.targetModules : [...sorted.factors.keys()];
  const unknownFields = unknownPeftFields(json);
  return { config: { ...config, targetModules }, ...sorted, ...(unknownFields.length && { unknownFields }) };
}

/**
 * The fields of the adapter_config.json in `folder` that nobody here knows; none where there is no such file.
 *
 * @throws {SyntaxError} If it is malformed.
 */
export async function ignoredFields(folder: string): Promise<string[]> {
  return unknownPeftFields(await readJsonIfAny(`${folder}/${CONFIG}`) ?? {});
}

/**
 * Reads A₀ and B₀ of the adapter in `folder`: the PEFT folder `start/` in it, as `writePeftAdapter` or PEFT's
 * `save_pretrained` before training wrote it; undefined where there is none.
 *
 * @throws {RangeError} If `start/` was written here beside another adapter than the one that is there now.
 * @throws As {@linkcode readPeftAdapter}.
 */
export async function readPeftStart(folder: string): Promise<PeftAdapter["factors"] | undefined> {
  const place = `${folder}/start`;
  if (await readTextIfAny(`${place}/${CONFIG}`) === undefined) return undefined;
  const { factors } = await readPeftAdapter(place);
  const expected = (await metadataOf(`${folder}/${TENSORS}`))[START_DIGEST];
  const isOwn = START_OF in await metadataOf(`${place}/${TENSORS}`);
  const found = await digestOf(`${place}/${TENSORS}`);
  if (expected === undefined ? !isOwn : expected === found) return factors;
  throw new RangeError(
    `Cannot use ${place}: found a start of sha256 ${found}, expected ${
      expected ?? "none"
    }, as ${folder}/${TENSORS} was ` +
      `saved with; without start/ it is made again from the base`,
  );
}

/**
 * Writes an adapter folder that PEFT's `PeftModel.from_pretrained` reads, in place of any adapter that is there: the folder
 * holds the old one, the new one or none, however it is stopped.
 *
 * @param start A₀ and B₀ of an adapter that starts away from zero, for `start/`; the adapter's file names their digest.
 * @throws {RangeError} If a factor's shape does not fit its configured rank, or a path is no target; nothing is written then.
 */
export async function writePeftAdapter(
  folder: string,
  adapter: PeftAdapter,
  start?: PeftAdapter,
): Promise<void> {
  const tensors = peftTensors(adapter);
  const startTensors = start && peftTensors(start);
  await replaceAdapter(folder, async (aside) => {
    const metadata: Record<string, string> = { format: "pt" };
    if (startTensors) {
      const place = `${aside}/start`;
      await writeSafetensors(`${place}/${TENSORS}`, startTensors, {
        ...metadata,
        [START_OF]: "olora-kit adapter",
      });
      await writeConfig(place, start);
      metadata[START_DIGEST] = await digestOf(`${place}/${TENSORS}`);
    }
    await writeSafetensors(`${aside}/${TENSORS}`, tensors, metadata);
    await writeConfig(aside, adapter);
  });
}

async function writeConfig(folder: string, { config }: PeftAdapter): Promise<void> {
  const text = JSON.stringify(peftConfigJson(config), undefined, 2);
  await writeFileAtomic(`${folder}/${CONFIG}`, text + "\n");
}

async function metadataOf(path: string): Promise<Readonly<Record<string, string>>> {
  using file = await openSafetensors(path);
  return file.metadata;
}

async function digestOf(path: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();
}
