/**
 * Writes a file so that `path` always holds either the old content or all of the new one: the bytes go to a
 * new file in the same folder, reach the disk, and then take the name. Missing folders are made.
 *
 * @param path Where the file ends up.
 * @param content Text (as UTF-8), bytes, or pieces of bytes that are written in order.
 * @throws What the file system says; the new file is then removed again and `path` is as it was.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const slash = Math.max(path.lastIndexOf("/"), Deno.build.os === "windows" ? path.lastIndexOf("\\") : -1);
  const folder = path.slice(0, slash + 1) || "./";
  const aside = `${folder}.${path.slice(slash + 1)}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  await Deno.mkdir(folder, { recursive: true });
  try {
    {
      using file = await Deno.open(aside, { write: true, createNew: true });
      for await (const piece of pieces(content)) {
        for (let done = 0; done < piece.byteLength;) done += await file.write(piece.subarray(done));
      }
      await file.sync();
    }
    await Deno.rename(aside, path);
  } catch (error) {
    await Deno.remove(aside).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

function pieces<Pieces>(content: string | Uint8Array | Pieces): Uint8Array[] | Pieces {
  if (typeof content === "string") return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

/** Makes the rename itself durable; Windows has no such call on folders, and its rename needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using file = await Deno.open(folder);
  await file.sync().catch(() => {});
}
