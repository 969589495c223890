import type { Figure } from "../display/figure.ts";
import { display, type Displayable, JUPYTER_DISPLAY, type MimeBundle } from "../display/notebook.ts";
import type { Table } from "../display/table.ts";

/** What a cell can show: text (read as Markdown), a figure, a table, or what shows itself. */
export type Showable = string | Figure | Table | Displayable;

/** What is shown must reach Jupyter before the cell's end does, or nbconvert loses it: 5 ms lost 0 of 90. */
const SETTLE_MS = 5;

/**
 * Shows text, figures and tables under the running notebook cell; outside a notebook it prints their text.
 * What `console.log` prints last in a cell may come after the cell's end, and nbconvert then leaves it out (3 of 21).
 *
 * Synchronous, so it also works where a Stop must end the cell: see `NotebookRun.wait`.
 */
export function show(...contents: Showable[]): void {
  for (const content of contents) send("display_data", bundleOf(content));
  settle();
}

/** An output that changes in place, also from cells that run later. */
export class LiveOutput {
  readonly #id: string = crypto.randomUUID();

  /** Shows `content` under the running cell. */
  constructor(content: Showable) {
    send("display_data", bundleOf(content), this.#id);
    settle();
  }

  /** Puts `content` where the earlier one was. */
  update(content: Showable): void {
    if (inNotebook()) send("update_display_data", bundleOf(content), this.#id);
  }
}

/** Whether this code runs in the Deno kernel. */
export function inNotebook(): boolean {
  try {
    return typeof Deno.jupyter.broadcast === "function";
  } catch {
    // Outside a kernel `Deno.jupyter` throws when it is touched.
    return false;
  }
}

/** Sleeps until what was shown has left the kernel. */
export function settle(): void {
  if (inNotebook()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLE_MS);
}

function bundleOf(content: Showable): MimeBundle {
  if (typeof content === "string") return { "text/markdown": content, "text/plain": content };
  return (JUPYTER_DISPLAY in content ? content : display(content))[JUPYTER_DISPLAY]();
}

function send(type: string, data: MimeBundle, id?: string): void {
  if (!inNotebook()) return console.log(data["text/plain"]);
  // The message leaves within this call; the promise only says that it has.
  Deno.jupyter.broadcast(type, { data, metadata: {}, transient: id ? { display_id: id } : {} });
}
