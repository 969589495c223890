/** What `hf:org/name@revision`, `hf:org/name/file.gguf@revision` or `hf:datasets/org/name/file@revision` stands for. */
export interface HubName {
  /** What the repository holds. */
  readonly kind: "model" | "dataset";
  /** Repository, `org/name`. */
  readonly repo: string;
  /** Branch, tag or commit; "main" where none is given. */
  readonly revision: string;
  /** The one file that is meant: of a model a GGUF file; undefined for a model folder. */
  readonly file: string | undefined;
}

/** Whether the specification of a model, or of data, names something on the Hugging Face hub. */
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
 * parseHubName("hf:org/name@v1"); // { kind: "model", repo: "org/name", revision: "v1", file: undefined }
 * ```
 */
export function parseHubName(spec: string): HubName {
  const [, datasets, org, name, file, revision = "main"] =
    /^hf:(datasets\/)?([^/@]+)\/([^/@]+)(?:\/([^@]+))?(?:@(.+))?$/.exec(spec) ?? [];
  const kind = datasets ? "dataset" : "model";
  const isPlain = (part: string | undefined) => part !== undefined && /^[A-Za-z0-9][\w.-]*$/.test(part);
  const isFile = datasets
    ? /\.(parquet|jsonl|json|txt)$/.test(file ?? "")
    : file === undefined || /\.gguf$/i.test(file);
  if (!isPlain(org) || !isPlain(name) || name.includes("..") || !isFile) {
    const forms = datasets
      ? "hf:datasets/org/name/file@revision, the file .parquet, .jsonl, .json or .txt"
      : "hf:org/name, hf:org/name@revision or hf:org/name/file.gguf@revision";
    throw new RangeError(`Cannot load ${hubThing(spec)}: expected ${forms}`);
  }
  for (const part of [revision, file]) {
    if (part !== undefined) requireInside(part, spec);
  }
  return { kind, repo: `${org}/${name}`, revision, file };
}

/** "model" or "data" and the specification, for errors. */
export function hubThing(spec: string): string {
  return `${/^hf:datasets\/[^/]*\//.test(spec) ? "data" : "model"} ${spec}`;
}

/**
 * Requires that `path`, put behind a folder, stays in it on every system: no `..`, nothing absolute, no backslash, no
 * colon, no control character.
 *
 * @param spec The specification of the model or data, for the error.
 * @throws {RangeError} If it does not.
 */
export function requireInside(path: string, spec: string): void {
  const isOutside = path.split("/").some((part) => part === "" || part === "." || part === "..");
  // deno-lint-ignore no-control-regex -- they are what is refused
  if (!isOutside && !/[\\:\x00-\x1f\x7f]/.test(path)) return;
  throw new RangeError(
    `Cannot load ${hubThing(spec)}: found ${JSON.stringify(path)}, expected a path inside its folder`,
  );
}
