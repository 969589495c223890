import { PATIENCE, type Patience } from "../../lib/io/http.ts";
import { type HubSettings, hubSettings } from "../../lib/io/hub_settings.ts";
import type { TestHub } from "./hub.ts";

/** A token as the hub's are. */
export const TOKEN = "hf_secretSecretSecret";

/** The kit's patience without its waits. */
export const LIMITS: Patience = { ...PATIENCE, wait: () => Promise.resolve() };

/** The settings of a user of this hub. */
export async function settingsOf(hub: TestHub, cache: string, token?: string): Promise<HubSettings> {
  const env: Record<string, string> = {
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_CACHE: cache,
    HF_HOME: `${cache}/home`,
    ...(token && { HF_TOKEN: token }),
  };
  return await hubSettings({ get: (name) => env[name] });
}

/** Runs a test in a folder of its own. */
export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Paths of the files and links under a folder, without those of locks; none where there is no folder. */
export async function filesUnder(folder: string, at = ""): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(`${folder}/${at}`)) {
      if (name === ".locks") continue;
      if (isDirectory) found.push(...await filesUnder(folder, `${at}${name}/`));
      else found.push(at + name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort();
}
