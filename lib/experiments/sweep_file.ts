import { resolveOptions } from "../adapters/options.ts";
import { HARNESS_TASKS, type HarnessTask } from "../datasets/harness_tasks.ts";
import { isHubName } from "../io/hub_name.ts";
import { type JsonObject, readJson } from "../io/json_file.ts";
import { checkRunConfig } from "../train/run_config.ts";
import { checkTrainOptions } from "../train/train.ts";
import { type ItemFiles, mapItems, type Measures } from "./measure.ts";
import { expand, type SweepConfig, type SweepRun } from "./sweep.ts";

/**
 * Reads a sweep's configuration and checks all of it that needs no model; paths in it become paths from here.
 *
 * @throws {TypeError} If a field is missing, unknown or of another kind; names file, field, what was found and expected.
 * @throws {RangeError} If a setting of a run makes no sense.
 */
export async function readSweep(path: string): Promise<SweepConfig> {
  const json = await readJson(path);
  check(json, FIELDS, (found, field, expected) => {
    throw new TypeError(`Cannot sweep ${path}: found ${shown(found)} as ${field}, expected ${expected}`);
  });
  const { base, grid, measures, rows, work = "out/sweep", sources = {} } = json as unknown as SweepConfig;
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const from = (file: string) =>
    /^([/\\]|[A-Za-z]:)/.test(file) || isHubName(file) ? file : `${folder}${file}`;
  const config = {
    base: located(base, from),
    grid: grid.map((block) =>
      Object.fromEntries(
        Object.entries(block).map(([name, values]) => [
          name,
          values.map((value) => located({ [name]: value }, from)[name]),
        ]),
      )
    ),
    measures: Object.fromEntries(
      Object.entries(measures).map(([name, files]) => [
        name,
        typeof files === "string" || isObject(files) ? mapItems(files as ItemFiles, from) : files,
      ]),
    ) as unknown as Measures,
    rows: from(rows),
    work: from(work),
    sources,
  };
  try {
    for (const run of expand(config)) checkRun(run);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    error.message = `Cannot sweep ${path}: ${error.message}`;
    throw error;
  }
  return config;
}

/** What a field may hold; `expected` ends a sentence that begins with what was found. */
interface Field {
  readonly expected: string;
  readonly isOptional?: true;
  /** The value itself. */
  allows(value: unknown): boolean;
  /** What it holds, by name. */
  readonly inside?: Readonly<Record<string, Field>> | Field;
}

type Refuse = (found: unknown, field: string, expected: string) => void;

const text: Field = { expected: "a text", allows: (value) => typeof value === "string" && value !== "" };
const object = (expected: string, inside?: Field["inside"]): Field => ({
  expected,
  allows: isObject,
  ...(inside && { inside }),
});
const list = (expected: string, inside?: Field): Field => ({
  expected,
  allows: (value) => Array.isArray(value) && value.length > 0,
  ...(inside && { inside }),
});
const optional = (field: Field): Field => ({ ...field, isOptional: true });
const items: Field = optional({
  expected: `a file, or files by task, of ${HARNESS_TASKS.join(", ")}`,
  allows: (value) =>
    text.allows(value) ||
    (isObject(value) && Object.keys(value).length > 0 &&
      Object.entries(value).every(([task, file]) =>
        HARNESS_TASKS.includes(task as HarnessTask) && text.allows(file)
      )),
});

const FIELDS: Readonly<Record<keyof SweepConfig, Field>> = {
  base: object("an object of settings"),
  grid: list(
    "a list of blocks, one at least",
    object("an object of lists of values", list("a list of values, one at least")),
  ),
  measures: object(
    "an object of files",
    {
      validation: { ...text, expected: "a file" },
      test: optional({ ...text, expected: "a file" }),
      general: optional({ ...text, expected: "a file" }),
      tasks: items,
      kept: items,
      spectrum: optional({ expected: "true or false", allows: (value) => typeof value === "boolean" }),
      sharpness: optional({
        expected: "a whole number >= 0",
        allows: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
      }),
    } satisfies Record<keyof Measures, Field>,
  ),
  rows: { ...text, expected: "a file" },
  work: optional({ ...text, expected: "a folder" }),
  sources: optional(object("an object of texts", text)),
};

/** Checks the values of `json`, which is at `place`, against `fields`: one for each name, or the same for all of them. */
function check(
  json: JsonObject | readonly unknown[],
  fields: NonNullable<Field["inside"]>,
  refuse: Refuse,
  place = "",
): void {
  const nameOf = (key: string) => Array.isArray(json) ? `${place}[${key}]` : place ? `${place}.${key}` : key;
  const visit = (value: unknown, key: string, field: Field) => {
    if (value === undefined && field.isOptional) return;
    if (!field.allows(value)) refuse(value, nameOf(key), field.expected);
    if (field.inside) check(value as JsonObject, field.inside, refuse, nameOf(key));
  };
  if (isField(fields)) return Object.entries(json).forEach(([key, value]) => visit(value, key, fields));
  for (const [key, value] of Object.entries(json)) {
    if (Object.hasOwn(fields, key)) continue;
    refuse(value, nameOf(key), `none, but some of ${Object.keys(fields).join(", ")}`);
  }
  for (const [key, field] of Object.entries(fields)) visit((json as JsonObject)[key], key, field);
}

function isField(fields: NonNullable<Field["inside"]>): fields is Field {
  return typeof fields.allows === "function";
}

/** Checks what of a run can be checked without its model. */
function checkRun(run: SweepRun): void {
  checkRunConfig(run);
  checkTrainOptions({ steps: 200, ...run });
  if (run.quantize === undefined && run.init === undefined) {
    resolveOptions(run as Parameters<typeof resolveOptions>[0]);
  }
}

/** A value as JSON, cut short. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}

/** `settings` with the paths in it, at whatever depth, taken from where `from` says; names of embedded models stay. */
function located(settings: Readonly<Record<string, unknown>>, from: (path: string) => string) {
  const place = (name: string, value: unknown): unknown => {
    if (isObject(value)) return located(value, from);
    const isPath = typeof value === "string" &&
      (["data", "init"].includes(name) || (name === "model" && !/^(tiny$|\w+:)/.test(value)));
    return isPath ? from(value) : value;
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, place(name, value)]));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
