import { writeFileAtomic } from "./atomic.ts";
import { hasSize } from "./download.ts";
import type { HubName } from "./hub_name.ts";
import { readTextIfAny } from "./json_file.ts";
import { withLock } from "./lock.ts";

/**
 * The folder of one repository in the cache that Python's huggingface_hub keeps too: `blobs/` by digest, `snapshots/` with a
 * folder of relative links for each commit, `refs/` with the commit of each branch and tag.
 */
export class HubCache {
  readonly #folder: string;
  readonly #locks: string;

  /**
   * Names the folder; nothing is made.
   *
   * @param cache The cache of all repositories.
   * @param name Its kind and repository.
   */
  constructor(cache: string, { kind, repo }: Pick<HubName, "kind" | "repo">) {
    const name = `${kind}s--${repo.replaceAll("/", "--")}`;
    this.#folder = `${cache}/${name}`;
    this.#locks = `${cache}/.locks/${name}`;
  }

  /** Folder of a commit's files, which may not be there. */
  snapshot(commit: string): string {
    return `${this.#folder}/snapshots/${commit}`;
  }

  /** The commit that `revision` was when it was last asked for, or the commit that it is; undefined where neither is known. */
  async commit(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const commit = (await readTextIfAny(`${this.#folder}/refs/${revision}`))?.trim();
    return commit !== undefined && isCommit(commit) ? commit : undefined;
  }

  /** Remembers the commit of `revision`. */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || await this.commit(revision) === commit) return;
    await writeFileAtomic(`${this.#folder}/refs/${revision}`, commit);
  }

  /** Whether the file is in the cache, in this commit's folder or under its digest. */
  async has(commit: string, path: string, digest: string, size: number): Promise<boolean> {
    return await hasSize(`${this.snapshot(commit)}/${path}`, size) || await hasSize(this.#blob(digest), size);
  }

  /**
   * Puts a file into a commit's folder. One process at a time makes it, by the lock that Python takes for it too; the others
   * wait and find it made.
   *
   * @param make Makes the blob at a path whose folder is there.
   * @param onWait Called if another process is at it.
   */
  async put(
    commit: string,
    path: string,
    digest: string,
    size: number,
    make: (blob: string) => Promise<void>,
    onWait: () => void,
  ): Promise<void> {
    const place = `${this.snapshot(commit)}/${path}`;
    if (await hasSize(place, size)) return;
    const blob = this.#blob(digest);
    for (const folder of [this.#locks, `${this.#folder}/blobs`, folderOf(place)]) {
      await Deno.mkdir(folder, { recursive: true });
    }
    await withLock(`${this.#locks}/${digest}.lock`, async () => {
      if (!await hasSize(blob, size)) await make(blob);
      if (!await hasSize(place, size)) await link(blob, place, "../".repeat(path.split("/").length + 1));
    }, onWait);
  }

  #blob(digest: string): string {
    return `${this.#folder}/blobs/${digest}`;
  }
}

/** Whether `revision` is a whole commit, which never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** A relative link, so that the cache can be moved; a copy where links are not allowed, as on Windows or by Deno's permissions. */
async function link(blob: string, place: string, up: string): Promise<void> {
  await Deno.remove(place).catch(() => {});
  try {
    await Deno.symlink(`${up}blobs/${blob.slice(blob.lastIndexOf("/") + 1)}`, place, { type: "file" });
  } catch {
    const aside = `${place}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    await Deno.copyFile(blob, aside);
    await Deno.rename(aside, place);
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
