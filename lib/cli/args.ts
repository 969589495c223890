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
 * Reads the words after a command's name. The word after an option that takes a value is its value, whatever it begins with.
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
  const values = new Map<string, string | number | boolean>();
  const others: string[] = [];
  for (const { word, name, value } of itemsOf(words, options)) {
    if (name === undefined && !/^-./.test(word)) others.push(word);
    else values.set(name ?? "", valueOf(word, name, value, options));
  }
  if (others.length === positionals) return new Arguments(values, others);
  const found = others.map((word) => JSON.stringify(word)).join(" ") || "none";
  throw new RangeError(
    `Cannot read the command line: expected ${positionals} arguments besides options, found ${found}`,
  );
}

/** Whether one of `flags`, written out as `--json` or `-h`, is among the words, and is not the value of an option. */
export function hasFlag(
  words: readonly string[],
  options: Readonly<Record<string, Option>>,
  ...flags: readonly string[]
): boolean {
  return itemsOf(words, options).some(({ word }) => flags.includes(word));
}

/** An option with what it is given, or another word. */
interface Item {
  readonly word: string;
  readonly name: string | undefined;
  readonly value: string | undefined;
}

/** Options and other words in turn. The word after an option that takes a value is its value, whatever it begins with. */
function* itemsOf(
  words: readonly string[],
  options: Readonly<Record<string, Option>>,
): Generator<Item, void> {
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const [, name, given] = /^--([^=]+)(?:=([^]*))?$/.exec(word) ?? [];
    const takesNext = given === undefined && name !== undefined && Object.hasOwn(options, name) &&
      options[name].type !== "flag";
    yield { word, name, value: takesNext ? words[++i] : given };
  }
}

function valueOf(
  word: string,
  name: string | undefined,
  value: string | undefined,
  options: Readonly<Record<string, Option>>,
): string | number | boolean {
  const fail = (what: string) => new RangeError(`Cannot read the command line: ${what}`);
  if (name === undefined || !Object.hasOwn(options, name)) {
    throw fail(`unknown or unexpected option: ${name === undefined ? word : `--${name}`}`);
  }
  const { type } = options[name];
  if (type === "flag") {
    if (value !== undefined) throw fail(`found --${name}=${value}, expected --${name} alone`);
    return true;
  }
  if (value === undefined) throw fail(`found --${name} without a value`);
  if (type === "text") return value;
  const number = value.trim() === "" ? NaN : Number(value);
  if (Number.isFinite(number)) return number;
  throw new RangeError(`Cannot use --${name} ${value}: expected a number`);
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
