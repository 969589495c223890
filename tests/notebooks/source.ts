/** The committed notebooks, as the checks read them. */

/** An output of a code cell. */
export interface Output {
  readonly output_type: string;
  readonly name?: string;
  readonly text?: string | string[];
  readonly data?: Record<string, string | string[] | Record<string, unknown>>;
}

/** A cell. */
export interface Cell {
  readonly cell_type: "code" | "markdown";
  readonly source: string | string[];
  readonly metadata?: { readonly tags?: readonly string[] };
  readonly execution_count?: number | null;
  readonly outputs?: Output[];
}

/** Text that a notebook file holds as one string or as lines. */
export function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join("") : typeof value === "string" ? value : "";
}

/** The code cells of a notebook file. */
export function codeCells(json: string): Cell[] {
  return (JSON.parse(json) as { cells: Cell[] }).cells.filter(({ cell_type }) => cell_type === "code");
}

/** Whether a cell, by its tag, says what committed rows say, whatever device and model the notebook runs on. */
export function isOfRows({ metadata }: Cell): boolean {
  return metadata?.tags?.includes("rows") ?? false;
}

/** All code of a notebook as one module. */
export function joined(cells: Cell[]): string {
  return cells.map(({ source }) => textOf(source)).join("\n\n") + "\n";
}

/** The specifiers that a module imports. */
export function specifiers(source: string): string[] {
  return [...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g)].map(([, found]) => found);
}

/** Line counts of the functions with a body in braces. */
export function functionLengths(source: string): number[] {
  return [...source.matchAll(/(?:=>\s*|\bfunction\b[^{]*)\{/g)].map(({ index, 0: head }) => {
    const start = index + head.length;
    let depth = 1;
    let end = start;
    while (depth > 0 && end < source.length) depth += { "{": 1, "}": -1 }[source[end++]] ?? 0;
    return source.slice(index, end).split("\n").length;
  });
}

/** The static pictures among the outputs. */
export function pictures(cells: Cell[]): string[] {
  return cells.flatMap(({ outputs = [] }) => outputs.map(({ data }) => textOf(data?.["image/svg+xml"])))
    .filter((svg) => svg !== "");
}

/** What a reader sees as text. */
export function printed({ outputs = [] }: Cell): string {
  return outputs.map(({ text, data }) => textOf(text) || textOf(data?.["text/plain"])).join("\n");
}

/** Bytes of a value in a notebook file. */
export function fileBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value, null, 1)).length;
}
