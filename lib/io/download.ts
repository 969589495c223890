import { syncFolder } from "./atomic.ts";
import { type Digest, type RunningDigest, startDigest } from "./digest.ts";
import { type Answer, ask, type Asked, type Patience, persist, TransientError } from "./http.ts";

/** A file to fetch, of which size and digest are known before. */
export interface Download extends Asked {
  /** Where it ends up; its folder must be there. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What the bytes must be. */
  readonly digest: Digest;
}

/** The file beside `path` that holds what has come of it so far. */
export function partialOf(path: string): string {
  return `${path}.incomplete`;
}

/**
 * Fetches a file so that `path` holds all of it or is not there: bytes go to `path`.incomplete, are checked, reach the disk,
 * and then take the name. A transfer that is cut is gone on with where it stopped, in this process or in a later one.
 *
 * @param onBytes Called with the bytes there are, first with those of an earlier transfer.
 * @throws {Deno.errors.InvalidData} If what the server sends has another length or digest; nothing is kept of it.
 * @throws As `ask` and `persist` do; what has come is kept.
 */
export async function download(
  wanted: Download,
  patience: Patience,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const { path, what, digest } = wanted;
  const partial = await Partial.open(wanted);
  try {
    const isResumed = partial.at > 0;
    await receive(wanted, partial, patience, onBytes);
    let found = partial.digest();
    if (found !== digest.hex && isResumed) {
      // What an earlier process left may be damaged; what comes in one go is what the server has.
      await partial.restart();
      await receive(wanted, partial, patience, onBytes);
      found = partial.digest();
    }
    if (found !== digest.hex) {
      const name = digest.kind === "git" ? "git digest" : "sha256";
      throw new Deno.errors.InvalidData(
        `Cannot fetch ${what}: found ${name} ${found}, expected ${digest.hex}`,
      );
    }
    await partial.sync();
  } catch (error) {
    partial.close();
    if (error instanceof Deno.errors.InvalidData) await Deno.remove(partialOf(path));
    throw error;
  }
  partial.close();
  await Deno.rename(partialOf(path), path).catch(async (error) => {
    // Another process wrote the same bytes to the same file and was first.
    if (!await hasSize(path, wanted.size)) throw error;
  });
  await syncFolder(path.slice(0, path.lastIndexOf("/") + 1) || "./");
}

/** Whether there is a file of this size, or a link to one. */
export async function hasSize(path: string, size: number): Promise<boolean> {
  return await Deno.stat(path).then((found) => found.isFile && found.size === size, () => false);
}

/** Asks for what is missing until nothing is. */
async function receive(
  wanted: Download,
  partial: Partial,
  patience: Patience,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { what, size } = wanted;
  onBytes(partial.at);
  await persist(what, patience, async () => {
    while (partial.at < size) {
      const rest = partial.at > 0 && { headers: { range: `bytes=${partial.at}-` } };
      const answer = await ask({ ...wanted, ...rest }, patience);
      try {
        if (answer.status === 200 && partial.at > 0) await partial.restart();
        requireLength(answer, partial.at, wanted);
      } catch (error) {
        await answer.discard();
        throw error;
      }
      const before = partial.at;
      for await (const chunk of answer.chunks()) {
        if (partial.at + chunk.length > size) throw wrongLength(what, `more than ${size} bytes`, size);
        await partial.append(chunk);
        onBytes(partial.at);
      }
      if (partial.at < size && partial.at === before) {
        throw new TransientError(`found the end at byte ${before} of ${size}`);
      }
    }
  }, () => partial.at);
}

/** @throws {Deno.errors.InvalidData} If the answer's headers speak of a file of another length, or of another part of it. */
function requireLength({ status, headers }: Answer, at: number, { what, size }: Download): void {
  if (status === 200) {
    const length = headers.get("content-length");
    if (length !== null && Number(length) !== size) throw wrongLength(what, `${length} bytes`, size);
    return;
  }
  const range = headers.get("content-range") ?? "none";
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  if (Number(start) === at && (total === "*" || Number(total) === size)) return;
  throw wrongLength(what, `bytes ${range.replace(/^bytes /, "")}`, size, ` from ${at} on`);
}

function wrongLength(what: string, found: string, size: number, from = ""): Error {
  return new Deno.errors.InvalidData(`Cannot fetch ${what}: found ${found}, expected ${size} bytes${from}`);
}

/**
 * What has come of a file, with its digest. Bytes are written at their own offsets and no file is cut short in place: should
 * two processes write at once, as on a file system that ignores locks, both write the same bytes, and a file that has
 * taken its name stays whole.
 */
class Partial {
  readonly #path: string;
  readonly #size: number;
  readonly #kind: Digest["kind"];
  #file: Deno.FsFile;
  #digest: RunningDigest;
  /** Bytes there are. */
  at = 0;

  private constructor({ path, size, digest }: Download, file: Deno.FsFile, running: RunningDigest) {
    [this.#path, this.#size, this.#kind] = [partialOf(path), size, digest.kind];
    [this.#file, this.#digest] = [file, running];
  }

  static async open(wanted: Download): Promise<Partial> {
    const { path, size, digest } = wanted;
    const partial = new Partial(
      wanted,
      await openPartial(partialOf(path)),
      await startDigest(digest.kind, size),
    );
    try {
      await partial.#readBack();
      return partial;
    } catch (error) {
      partial.close();
      throw error;
    }
  }

  /** Takes what an earlier transfer left into the digest. */
  async #readBack(): Promise<void> {
    const buffer = new Uint8Array(1 << 20);
    for (let count = await this.#file.read(buffer); count !== null; count = await this.#file.read(buffer)) {
      this.#digest.update(buffer.subarray(0, count));
      this.at += count;
    }
  }

  /** Writes the next bytes. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
    this.#digest.update(bytes);
    this.at += bytes.length;
  }

  /** Begins anew with a new file. */
  async restart(): Promise<void> {
    this.close();
    await Deno.remove(this.#path);
    this.#file = await openPartial(this.#path);
    this.#digest = await startDigest(this.#kind, this.#size);
    this.at = 0;
  }

  /** The digest, once all bytes are there. */
  digest(): string {
    return this.#digest.hex();
  }

  async sync(): Promise<void> {
    await this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

function openPartial(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, write: true, create: true });
}
