/**
 * Opens the file at `path` for reading.
 *
 * @param expected What kind of file it should be, for errors.
 * @throws {Deno.errors.NotFound} If there is no such file.
 */
export async function openNamed(path: string, expected: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(`Cannot read ${path}: found no such file, expected ${expected}`, {
      cause,
    });
  }
}

/**
 * `length` bytes of `file` from `offset` on. Seek and read in one synchronous turn, so that concurrent reads of one
 * file cannot mix their positions.
 *
 * @param path The file's name, for errors.
 * @throws {SyntaxError} If the file ends before that.
 */
export function readAt(
  file: Deno.FsFile,
  offset: number,
  length: number,
  path: string,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let done = 0; done < length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) {
      throw new SyntaxError(
        `Cannot read ${path}: it ends at byte ${offset + done}, expected ${offset + length}`,
      );
    }
    done += count;
  }
  return bytes;
}
