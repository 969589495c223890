import arg from "npm:arg@5.0.2";

/** One option of a command. */
export interface Option {
  /** Kind of its value; a flag has none. */
  readonly type: "text" | "number" | "flag";
  /** What it does, with its default. */
  readonly help: string;
  /** Name of its value in the help, e.g. `DIR`. */
  readonly value?: string;
}

/** Values of a command line by option name. */
export class Arguments {
  readonly #values: ReadonlyMap<string, string | number | boolean>;
  /** Arguments that belong to no option. */
  readonly positionals: readonly string[];

  /** Use `parseCommandLine`. */
  constructor(values: ReadonlyMap<string, string | number | boolean>, positionals: readonly string[]) {
    this.#values = values;
    this.positionals = positionals;
  }

  /** The text given for `name`. */
  text(name: string): string | undefined {
    return this.#values.get(name) as string | undefined;
  }

  /** The text given for `name`, which must be there. */
  required(name: string): string {
    const found = this.text(name);
    if (found === undefined) {
      throw new RangeError(`Cannot do without --${name}: found none, expected a value`);
    }
    return found;
  }

  /** The number given for `name`. */
  number(name: string): number | undefined {
    return this.#values.get(name) as number | undefined;
  }

  /** Whether `name` was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether the flag `name` was given. */
  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }
}

/**
 * Reads the words after a command's name.
 *
 * @param positionals How many arguments that belong to no option are expected.
 * @throws {RangeError} If an option is unknown or lacks its value, a number does not parse, or there are too many or too
 * few arguments.
 */
export function parseCommandLine(
  words: readonly string[],
  options: Readonly<Record<string, Option>>,
  positionals = 0,
): Arguments {
  const parsed = parse(words, options);
  if (parsed.positionals.length !== positionals) {
    const found = parsed.positionals.map((word) => JSON.stringify(word)).join(" ") || "none";
    throw new RangeError(
      `Cannot read the command line: expected ${positionals} arguments besides options, found ${found}`,
    );
  }
  const values = new Map<string, string | number | boolean>();
  for (const [option, value] of Object.entries(parsed.values)) {
    const name = option.slice(2);
    if (options[name].type !== "number") {
      values.set(name, value as string | boolean);
      continue;
    }
    const number = String(value).trim() === "" ? NaN : Number(value);
    if (!Number.isFinite(number)) throw new RangeError(`Cannot use --${name} ${value}: expected a number`);
    values.set(name, number);
  }
  return new Arguments(values, parsed.positionals);
}

function parse(words: readonly string[], options: Readonly<Record<string, Option>>) {
  const spec = Object.fromEntries(
    Object.entries(options).map(([name, { type }]) => [`--${name}`, type === "flag" ? Boolean : String]),
  );
  try {
    const { _: positionals, ...values } = arg(spec, { argv: joinNegative(words) });
    return { positionals, values: values as Record<string, string | boolean> };
  } catch (error) {
    throw new RangeError(`Cannot read the command line: ${(error as Error).message}`);
  }
}

/** `--seed -1` as `--seed=-1`, so that the value is refused for what it is. */
function joinNegative(words: readonly string[]): string[] {
  return words.reduce<string[]>((joined, word) => {
    const before = joined.at(-1);
    if (/^-\d/.test(word) && before?.startsWith("--") && !before.includes("=")) {
      return [...joined.slice(0, -1), `${before}=${word}`];
    }
    return [...joined, word];
  }, []);
}

/** The options of a command as lines of its help. */
export function optionLines(options: Readonly<Record<string, Option>>): string {
  const rows = Object.entries(options).map(([name, { value, help }]) => [
    `  --${name}${value ? ` ${value}` : ""}`,
    help,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, help]) => left.padEnd(width) + help).join("\n");
}
