/** Font families of every picture, the reader's own sans serif first. */
export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/** `text` as it may stand in XML text or in an attribute between double quotes. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (c) => entities[c]);
}

/**
 * Width of `text` in CSS pixels at font size `size`, from three classes of letters. On the wide side of what the
 * usual sans serif fonts need: a static picture cannot measure, and text must not run into its neighbour.
 */
export function textWidth(text: string, size: number): number {
  let em = 0;
  for (const c of text) em += /[iljtfrI.,:;'|!()[\] ·]/.test(c) ? 0.38 : /[mwMWOQG@%—]/.test(c) ? 0.95 : 0.63;
  return em * size;
}

/** `text` in lines whose `width` is at most `limit`, broken at spaces; a longer word keeps its own line. */
export function wrapText(text: string, limit: number, width: (line: string) => number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const joined = `${lines.at(-1)} ${word}`;
    if (lines.length && width(joined) <= limit) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
}

/** Attributes of a text element, in the units of the picture. */
export interface TextStyle {
  /** Font size. */
  readonly size: number;
  /** Colour. */
  readonly fill: string;
  /** Which end lies at the place given; default `start`. */
  readonly anchor?: "start" | "middle" | "end";
  /** Bold. */
  readonly bold?: boolean;
  /** Colour of an outline that keeps the text readable on top of curves. */
  readonly halo?: string;
  /** Turned around its place, in degrees clockwise. */
  readonly turn?: number;
}

/** One line of text with its baseline at (x, y). */
export function svgText(text: string, x: number, y: number, style: TextStyle): string {
  const { size, fill, anchor = "start", bold, halo, turn } = style;
  const place = `x="${coordinate(x)}" y="${coordinate(y)}"`;
  const extra = [
    anchor === "start" ? "" : ` text-anchor="${anchor}"`,
    bold ? ` font-weight="600"` : "",
    halo ? ` stroke="${halo}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"` : "",
    turn ? ` transform="rotate(${turn} ${coordinate(x)} ${coordinate(y)})"` : "",
  ].join("");
  return `<text ${place} font-size="${size}" fill="${fill}"${extra}>${escapeXml(text)}</text>`;
}

/** A coordinate with at most one decimal. */
export function coordinate(value: number): string {
  return String(Math.round(value * 10) / 10);
}
