import { isHubName } from "../io/hub_name.ts";
import { ignoredFields } from "../io/peft.ts";
import { findData, type Output } from "./command.ts";

/** What `--json` says of an adapter that was read: the fields that nobody here knows, where there are some. */
export interface AdapterRead {
  /** Their names. */
  readonly unknownFields?: readonly string[];
}

/**
 * Checks that an adapter's folder is there, before a device is opened, and notes fields of its adapter_config.json that nobody
 * here knows.
 *
 * @param folder What the option gives, if it is given.
 * @throws {RangeError} If it is a name on the hub.
 * @throws {Deno.errors.NotFound} If there is no such folder.
 */
export async function checkAdapter(folder: string | undefined, output: Output): Promise<AdapterRead> {
  if (folder === undefined) return {};
  if (isHubName(folder)) {
    throw new RangeError(
      `Cannot load adapter ${folder}: expected a folder on this machine, as hf download of Python's huggingface_hub ` +
        `makes with --local-dir`,
    );
  }
  await findData(folder);
  const unknownFields = await ignoredFields(folder);
  if (!unknownFields.length) return {};
  output.note(
    `Ignored in ${folder}/adapter_config.json, as nobody here knows them: ${unknownFields.join(", ")}`,
  );
  return { unknownFields };
}
