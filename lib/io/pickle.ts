/** What is found where weights are in PyTorch's own format alone. */
export const PICKLE = "weights only as .bin, Python's pickle, which is not read";

/**
 * What is expected in its place.
 *
 * @param python What makes it in Python.
 * @param other Another way that is easier, if there is one.
 */
export function noPickle(python: string, other?: string): string {
  return `safetensors: ${other ? `${other}, or ` : ""}convert with Python (${python}) and load the folder`;
}

/** Whether a file of these is PyTorch's own, whole or a shard. */
export function hasPickle(files: Iterable<string>): boolean {
  return [...files].some((file) => file.endsWith(".bin"));
}

/** Whether `folder` holds such a file. */
export async function hasPickleIn(folder: string): Promise<boolean> {
  try {
    return hasPickle((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
