/** What a file's bytes must be. */
export interface Digest {
  /** `sha256` of the bytes, or `git`: SHA-1 of git's header for a file (`blob`, its size) and the bytes. */
  readonly kind: "sha256" | "git";
  /** In hexadecimal digits. */
  readonly hex: string;
}

/** A digest that grows with the bytes; the web's own takes them all at once, and a file may be larger than memory. */
export interface RunningDigest {
  /** Takes the next bytes. */
  update(bytes: Uint8Array): void;
  /** The digest of all of them, in hexadecimal digits. */
  hex(): string;
}

/**
 * Starts a digest.
 *
 * @param size Bytes that there will be; git's digest begins with their number.
 */
export async function startDigest(kind: Digest["kind"], size: number): Promise<RunningDigest> {
  const { createSHA1, createSHA256 } = await import("npm:hash-wasm@4.13.0");
  const hash = await (kind === "git" ? createSHA1() : createSHA256());
  hash.init();
  if (kind === "git") hash.update(`blob ${size}\0`);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
}
