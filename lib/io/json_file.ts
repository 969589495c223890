/** A JSON object as it comes out of a file: nothing is known of its fields. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * What the JSON `text` holds.
 *
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If the text is not JSON.
 */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Cannot read ${name}: expected JSON (${(cause as Error).message})`, { cause });
  }
}

/**
 * The JSON object that `text` holds.
 *
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If the text is not JSON, or JSON of another kind.
 */
export function parseJsonObject(text: string, name: string): JsonObject {
  const json = parseJson(text, name);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    const found = Array.isArray(json) ? "a list" : json === null ? "null" : `a ${typeof json}`;
    throw new SyntaxError(`Cannot read ${name}: found ${found}, expected a JSON object`);
  }
  return json as JsonObject;
}

/**
 * The text of the file at `path`, or undefined if there is none, as inside what is no folder.
 *
 * @throws What the file system says, other than that the file is missing.
 */
export async function readTextIfAny(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/**
 * The JSON object in the file at `path`, or undefined if there is no such file.
 *
 * @throws {SyntaxError} As {@linkcode parseJsonObject}.
 */
export async function readJsonIfAny(path: string): Promise<JsonObject | undefined> {
  const text = await readTextIfAny(path);
  return text === undefined ? undefined : parseJsonObject(text, path);
}

/**
 * The JSON object in the file at `path`.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {SyntaxError} As {@linkcode parseJsonObject}.
 */
export async function readJson(path: string): Promise<JsonObject> {
  const json = await readJsonIfAny(path);
  if (json === undefined) throw new Deno.errors.NotFound(`Cannot read ${path}: found no such file`);
  return json;
}
