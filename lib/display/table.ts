import { escapeXml, wrapText } from "./svg_text.ts";

/** What a cell may hold; null is shown as a dash. */
export type Cell = string | number | null;

/** Rows under named columns. */
export interface Table {
  /** Heading above the table. */
  readonly title?: string;
  /** Names of the columns; the first one's cells are names, aligned left, all others right. */
  readonly columns: readonly string[];
  /** One array for each row, as long as `columns`. */
  readonly rows: readonly (readonly Cell[])[];
  /** What the figures mean, below the table. */
  readonly note?: string;
}

/**
 * A number as a table shows it: `digits` significant digits, thousands grouped, a true minus sign, and a power
 * of ten below 1e-4 and from 1e15 on. Whole numbers keep all their digits.
 */
export function formatNumber(x: number, digits = 4): string {
  if (Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const sign = x < 0 ? "−" : "";
  if (Number.isInteger(x) && size < 1e15) return sign + grouped(String(size));
  if (size < 1e-4 || size >= 1e15) {
    return sign + size.toExponential(digits - 1).replace("-", "−").replace("+", "");
  }
  const whole = Math.floor(Math.log10(Number(size.toPrecision(digits)))) + 1;
  return sign + grouped(size.toFixed(Math.max(0, digits - whole)));
}

/** `x` with `decimals` digits after the point, thousands grouped, a true minus sign. */
export function formatFixed(x: number, decimals: number): string {
  return (x < 0 ? "−" : "") + grouped(Math.abs(x).toFixed(decimals));
}

function grouped(text: string): string {
  const [whole, fraction] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** The table for a terminal: aligned columns, plain text. */
export function textTable(table: Table): string {
  const [head, ...body] = cells(table);
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((row) => length(row[i]))));
  const line = (row: string[]) =>
    row.map((cell, i) => {
      const fill = " ".repeat(widths[i] - length(cell));
      return i ? fill + cell : cell + fill;
    }).join("  ").trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  const lines = [line(head), rule, ...body.map(line)];
  const note = table.note ? ["", ...wrapText(table.note, Math.max(60, rule.length), length)] : [];
  return [...(table.title ? [table.title, ""] : []), ...lines, ...note].join("\n");
}

/** The table in GitHub's Markdown. */
export function markdownTable(table: Table): string {
  const [head, ...body] = cells(table).map((row) => row.map((cell) => cell.replace(/\|/g, "\\|")));
  const line = (row: string[]) => `| ${row.join(" | ")} |`;
  const rule = line(head.map((_, i) => i ? "---:" : "---"));
  const lines = [line(head), rule, ...body.map(line)];
  return [
    ...(table.title ? [`**${table.title}**`, ""] : []),
    ...lines,
    ...(table.note ? ["", table.note] : []),
  ]
    .join("\n");
}

/** The table in HTML, without classes or scripts: the page that embeds it styles it. */
export function htmlTable(table: Table): string {
  // On a narrow page a cell breaks before the sign, not after it.
  const [head, ...body] = cells(table).map((row) => row.map((c) => escapeXml(c).replace(" ± ", " ±&nbsp;")));
  const heads = head.map((cell, i) => `<th scope="col" align="${i ? "right" : "left"}">${cell}</th>`).join(
    "",
  );
  const rows = body.map(([name, ...values]) =>
    `<tr><th scope="row" align="left">${name}</th>${
      values.map((cell) => `<td align="right">${cell}</td>`).join("")
    }</tr>`
  );
  const caption = table.title ? `<caption align="top">${escapeXml(table.title)}</caption>` : "";
  const note = table.note ? `<p>${escapeXml(table.note)}</p>` : "";
  return `<table>${caption}<thead><tr>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table>${note}`;
}

/**
 * All cells as text, the column names first.
 *
 * @throws {RangeError} If a row has another number of cells than there are columns.
 */
function cells({ columns, rows }: Table): string[][] {
  for (const row of rows) {
    if (row.length !== columns.length) {
      throw new RangeError(
        `Cannot lay out row ${
          row[0]
        }: got ${row.length} cells, expected ${columns.length} as there are columns`,
      );
    }
  }
  const text = (cell: Cell) => cell === null ? "–" : typeof cell === "number" ? formatNumber(cell) : cell;
  return [[...columns], ...rows.map((row) => row.map(text))];
}

/** Places that `text` takes in a terminal, counted in code points. */
function length(text: string): number {
  return [...text].length;
}
