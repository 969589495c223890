import { type Figure, thinFigure } from "./figure.ts";
import { plotlyFigure } from "./plotly.ts";
import { svgFigure } from "./svg.ts";
import { htmlTable, type Table, textTable } from "./table.ts";

/** One thing in several MIME types; the reader's program shows the richest it knows. */
export type MimeBundle = Record<string, unknown>;

/** What the Deno kernel shows: `Deno.jupyter.display(value)`, or the value at the end of a cell. */
export interface Displayable {
  /** The bundle that goes into the notebook. */
  [JUPYTER_DISPLAY](): MimeBundle;
}

/** The well-known symbol under which the Deno kernel looks for a bundle. */
export const JUPYTER_DISPLAY: unique symbol = Symbol.for("Jupyter.display");

/** Bytes that one figure may add to a notebook file. */
export const FIGURE_BYTES = 200_000;

/**
 * A figure or a table for a notebook cell. A figure becomes interactive Plotly JSON and a static SVG from the one
 * description; a table becomes HTML and plain text without ANSI codes.
 *
 * A figure takes at most 200 kB of the notebook file. Where it has too many points for that, both views are
 * thinned to the same points and the caption says so.
 *
 * @example Usage
 * ```ts
 * import { display, JUPYTER_DISPLAY } from "@olora/kit";
 * import { assertEquals } from "@std/assert";
 *
 * const table = { columns: ["method", "loss"], rows: [["lora", 2.5]] };
 * assertEquals(Object.keys(display(table)[JUPYTER_DISPLAY]()), ["text/html", "text/plain"]);
 * ```
 */
export function display(content: Figure | Table): Displayable {
  const bundle = "panels" in content ? figureBundle(content) : {
    "text/html": htmlTable(content),
    "text/plain": textTable(content),
  };
  return { [JUPYTER_DISPLAY]: () => bundle };
}

function figureBundle(figure: Figure): MimeBundle {
  for (let limit = 400;; limit = Math.floor(limit * 0.8)) {
    const thinned = thinFigure(figure, limit);
    const bundle = {
      "application/vnd.plotly.v1+json": plotlyFigure(thinned),
      "image/svg+xml": svgFigure(thinned),
      "text/plain": `${thinned.title}. ${thinned.caption}`,
    };
    if (notebookBytes(bundle) <= FIGURE_BYTES || limit < 8) return bundle;
  }
}

/** Bytes of a bundle in an .ipynb file, where nbformat puts each number on a line of its own, indented. */
export function notebookBytes(bundle: MimeBundle): number {
  const nested = { cells: [{ outputs: [{ data: bundle }] }] };
  return new TextEncoder().encode(JSON.stringify(nested, null, 1)).length;
}
