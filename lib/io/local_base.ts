import { isHubName } from "./hub_name.ts";
import { hubSettings } from "./hub_settings.ts";
import { readJsonIfAny } from "./json_file.ts";
import { resolveModel } from "./model_folder.ts";

/**
 * The path of the base that the adapter in `folder` names, PEFT's or the kit's, if that is on this machine: an embedded model, a
 * model folder or GGUF file, or a name on the hub that is whole in the cache. Nothing is fetched.
 *
 * @throws {SyntaxError} If what names it is malformed.
 */
export async function localBase(folder: string): Promise<string | undefined> {
  const peft = await readJsonIfAny(`${folder}/adapter_config.json`);
  const own = await readJsonIfAny(`${folder}/kit_adapter.json`);
  const name = peft?.base_model_name_or_path ?? own?.base;
  if (typeof name !== "string" || name === "") return undefined;
  const revision = typeof peft?.revision === "string" ? `@${peft.revision}` : "";
  const settings = { ...await hubSettings(), isOffline: true };
  for (const spec of isHubName(name) ? [name] : [name, `hf:${name}${revision}`]) {
    const found = await resolveModel(spec, { settings }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound || error instanceof RangeError)) throw error;
    });
    if (found !== undefined) return found;
  }
}
