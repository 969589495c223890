import { readTextIfAny } from "./json_file.ts";

/** Which hub, and where on this machine its files are kept. */
export interface HubSettings {
  /** Address of the hub without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache, shared with Python's huggingface_hub. */
  readonly cache: string;
  /** Nothing is asked of the network. */
  readonly isOffline: boolean;
  /**
   * The header that proves who asks: for the hub's own origin only (scheme, host and port), for any other none. The token is
   * in here and nowhere else, so that it cannot be printed or sent elsewhere by mistake.
   */
  authorization(url: string): Record<string, string>;
}

/**
 * The settings that Python's huggingface_hub reads: `HF_ENDPOINT`, `HF_HUB_CACHE`, else `HF_HOME`/hub, `HF_HUB_OFFLINE`,
 * `HF_TOKEN`, else the file `HF_HOME`/token. `HF_HOME` is by default ~/.cache/huggingface.
 *
 * @param env The environment; this process's by default.
 * @throws {RangeError} If an address or the token has a form that cannot be used; the token is not shown.
 */
export async function hubSettings(
  env: { get(name: string): string | undefined } = Deno.env,
): Promise<HubSettings> {
  const given = (name: string) => env.get(name)?.trim() || undefined;
  const user = given("HOME") ?? given("USERPROFILE") ?? ".";
  const expand = (path: string) => path.replace(/^~(?=$|[/\\])/, user);
  const home = expand(given("HF_HOME") ?? `${given("XDG_CACHE_HOME") ?? "~/.cache"}/huggingface`);
  const endpoint = (given("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, "");
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new RangeError(`Cannot use HF_ENDPOINT ${endpoint}: expected an address as https://huggingface.co`);
  }
  const token = given("HF_TOKEN") ?? (await readTextIfAny(`${home}/token`))?.trim();
  if (token && !/^[\x21-\x7e]+$/.test(token)) {
    throw new RangeError("Cannot use HF_TOKEN: expected a token of printable characters without spaces");
  }
  return {
    endpoint,
    cache: expand(given("HF_HUB_CACHE") ?? `${home}/hub`),
    isOffline: /^(1|on|yes|true)$/i.test(given("HF_HUB_OFFLINE") ?? ""),
    authorization(address): Record<string, string> {
      const isHub = URL.parse(address)?.origin === url.origin;
      return token && isHub ? { authorization: `Bearer ${token}` } : {};
    },
  };
}
