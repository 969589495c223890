/**
 * A server on this machine that behaves as the Hugging Face hub does, and misbehaves where a test says so. Files in
 * large-file storage are redirected to a second server, on a port of its own.
 */

/** A request that a server got. */
export interface Seen {
  method: string;
  path: string;
  range: string | null;
  token: string | null;
}

/** What the hub holds, and where it misbehaves. */
export interface HubOptions {
  /** Content by path. */
  files: Record<string, string | Uint8Array<ArrayBuffer>>;
  /** What its repository holds, by default a model. */
  kind?: "model" | "dataset";
  /** Paths in large-file storage; by default .safetensors, .gguf, .bin and .parquet. */
  isLarge?: (path: string) => boolean;
  /** Answers in place of the hub or its storage, where it gives an answer. */
  instead?: (request: Request, at: "hub" | "storage") => Response | undefined | Promise<Response | undefined>;
  /** Changes an entry of the listing. */
  entry?: (entry: Entry) => Record<string, unknown>;
}

/** An entry of a listing. */
export interface Entry {
  type: string;
  path: string;
  size: number;
  oid: string;
  lfs?: { oid: string; size: number; pointerSize: number };
}

/** A hub that runs. */
export interface TestHub extends AsyncDisposable {
  /** Its address. */
  endpoint: string;
  /** Requests to the hub, in order. */
  seen: Seen[];
  /** Requests to its storage. */
  stored: Seen[];
}

/** The one repository that the hub has, its branches and their commit. */
export const REPO = "org/model";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const REVISIONS = ["main", "refs/pr/1", COMMIT];

/** Starts a hub. */
export async function startHub(options: HubOptions): Promise<TestHub> {
  const {
    kind = "model",
    isLarge = (path) => /\.(safetensors|gguf|bin|parquet)$/.test(path),
    instead,
    entry,
  } = options;
  const files = new Map(
    await Promise.all(
      Object.entries(options.files).map(async ([path, content]) => {
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        return [path, { bytes, digest: await digestOf(bytes, isLarge(path)) }] as const;
      }),
    ),
  );
  const [seen, stored]: Seen[][] = [[], []];
  const note = (list: Seen[], request: Request) => {
    const { pathname, search } = new URL(request.url);
    list.push({
      method: request.method,
      path: pathname + search,
      range: request.headers.get("range"),
      token: request.headers.get("authorization"),
    });
  };

  const storage = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    note(stored, request);
    const other = await instead?.(request, "storage");
    if (other) return other;
    const path = decodeURIComponent(new URL(request.url).pathname.slice(1));
    return part(request, files.get(path)!.bytes);
  });

  const hub = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    note(seen, request);
    const other = await instead?.(request, "hub");
    if (other) return other;
    const path = decodeURIComponent(new URL(request.url).pathname);
    const [, repo, revision] =
      new RegExp(`^/api/${kind}s/([^/]+/[^/]+)/(?:revision|tree)/(.*)$`).exec(path) ??
        new RegExp(`^${kind === "dataset" ? "/datasets" : ""}/([^/]+/[^/]+)/resolve/(.*)$`).exec(path) ?? [];
    if (repo !== REPO) return refuse(404, "RepoNotFound");
    const known = REVISIONS.find((name) => revision === name || revision.startsWith(`${name}/`));
    if (known === undefined) return refuse(404, "RevisionNotFound");
    const rest = revision.slice(known.length + 1);
    if (path.includes("/revision/")) return Response.json({ id: REPO, _id: "1", sha: COMMIT, siblings: [] });
    if (path.includes("/tree/")) {
      const folder = rest === "" ? "" : `${rest}/`;
      const isRecursive = new URL(request.url).searchParams.get("recursive") === "true";
      const isListed = (name: string) =>
        name.startsWith(folder) && (isRecursive || !name.slice(folder.length).includes("/"));
      const entries = [...files].filter(([name]) => isListed(name)).map((
        [name, { bytes, digest }],
      ): Entry => ({
        type: "file",
        path: name,
        size: bytes.length,
        oid: isLarge(name) ? "f".repeat(40) : digest,
        ...(isLarge(name) && { lfs: { oid: digest, size: bytes.length, pointerSize: 130 } }),
      }));
      return rest !== "" && !entries.length
        ? refuse(404, "EntryNotFound")
        : Response.json(entry ? entries.map(entry) : entries);
    }
    const file = files.get(rest);
    if (!file) return refuse(404, "EntryNotFound");
    const headers = { "x-repo-commit": COMMIT, etag: `"${file.digest}"` };
    if (!isLarge(rest)) return part(request, file.bytes, headers);
    const location = `http://127.0.0.1:${storage.addr.port}/${encodeURIComponent(rest)}?Signature=signed`;
    return new Response(null, {
      status: 302,
      headers: {
        ...headers,
        location,
        "x-linked-size": String(file.bytes.length),
        "x-linked-etag": `"${file.digest}"`,
      },
    });
  });
  return {
    endpoint: `http://127.0.0.1:${hub.addr.port}`,
    seen,
    stored,
    async [Symbol.asyncDispose]() {
      await Promise.all([hub.shutdown(), storage.shutdown()]);
    },
  };
}

/** The bytes, or the part of them that was asked for. */
export function part(
  request: Request,
  bytes: Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Response {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  const range = request.headers.has("range") &&
    { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  return new Response(bytes.slice(start), {
    status: range ? 206 : 200,
    headers: { ...headers, ...range, "content-length": String(bytes.length - start) },
  });
}

/** An answer whose body breaks off after `count` bytes. */
export function cut(answer: Response, count: number): Response {
  let left = count;
  const cutting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk.slice(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
  return new Response(answer.body!.pipeThrough(cutting), answer);
}

/** A refusal as the hub words it. */
export function refuse(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: code }, { status, headers: { "x-error-code": code, ...headers } });
}

/** The sha256 of a large file, git's digest of another. */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>, isLarge: boolean): Promise<string> {
  const all = isLarge
    ? bytes
    : new Uint8Array(await new Blob([`blob ${bytes.length}\0`, bytes]).arrayBuffer());
  return new Uint8Array(await crypto.subtle.digest(isLarge ? "SHA-256" : "SHA-1", all)).toHex();
}
