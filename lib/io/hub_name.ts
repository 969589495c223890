/** What `hf:org/name@revision` or `hf:org/name/file.gguf@revision` stands for. */
export interface HubName {
  /** Repository, `org/name`. */
  readonly repo: string;
  /** Branch, tag or commit; "main" where none is given. */
  readonly revision: string;
  /** The one GGUF file that is meant; undefined for a model folder. */
  readonly file: string | undefined;
}

/** Whether a model's specification names one on the Hugging Face hub. */
export function isHubName(spec: string): boolean {
  return spec.startsWith("hf:");
}

/**
 * The parts of a name on the hub.
 *
 * @throws {RangeError} If `spec` has another form, or a part of it would lead out of the cache's folders.
 *
 * @example Usage
 * ```ts ignore
 * parseHubName("hf:org/name@v1"); // { repo: "org/name", revision: "v1", file: undefined }
 * ```
 */
export function parseHubName(spec: string): HubName {
  const [, org, name, file, revision = "main"] =
    /^hf:([^/@]+)\/([^/@]+)(?:\/([^@]+\.gguf))?(?:@(.+))?$/i.exec(spec) ?? [];
  const isPlain = (part: string | undefined) => part !== undefined && /^[A-Za-z0-9][\w.-]*$/.test(part);
  if (!isPlain(org) || !isPlain(name) || name.includes("..")) {
    throw new RangeError(
      `Cannot load model ${spec}: expected hf:org/name, hf:org/name@revision or hf:org/name/file.gguf@revision`,
    );
  }
  for (const part of [revision, file]) {
    if (part !== undefined) requireInside(part, spec);
  }
  return { repo: `${org}/${name}`, revision, file };
}

/**
 * Requires that `path`, put behind a folder, stays in it on every system: no `..`, nothing absolute, no backslash, no
 * colon, no control character.
 *
 * @param model The model's specification, for the error.
 * @throws {RangeError} If it does not.
 */
export function requireInside(path: string, model: string): void {
  const isOutside = path.split("/").some((part) => part === "" || part === "." || part === "..");
  // deno-lint-ignore no-control-regex -- they are what is refused
  if (!isOutside && !/[\\:\x00-\x1f\x7f]/.test(path)) return;
  throw new RangeError(
    `Cannot load model ${model}: found ${JSON.stringify(path)}, expected a path inside the model's folder`,
  );
}
