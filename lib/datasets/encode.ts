import type { Tokenizer } from "../io/tokenizer.ts";

/** A sequence of tokens and which of them count in the loss. */
export interface TokenRow {
  /** Token ids. */
  readonly ids: readonly number[];
  /** Whether the prediction of that token counts; the first token of a row is never predicted. */
  readonly mask: readonly boolean[];
}

/** A part of a text, `[begin, end)` in UTF-16 units. */
export type Span = readonly [begin: number, end: number];

/**
 * Encodes `text` as one sequence in which the tokens of `spans` count in the loss.
 *
 * A token counts from the first one in which the encoding of the text up to a span's begin departs from that of
 * the whole, so a token that reaches over the border counts. Own construction: tokenizers give no offsets, and
 * encoding the parts apart would give tokens that the whole text does not have.
 *
 * @param options `addSpecial` as in `encode` (default true); `end` is an id put after the text and counted.
 */
export function encodeSpans(
  tokenizer: Pick<Tokenizer, "encode">,
  text: string,
  spans: readonly Span[],
  options: { addSpecial?: boolean; end?: number } = {},
): TokenRow {
  const { addSpecial = true, end } = options;
  const ids = tokenizer.encode(text, { addSpecial });
  const mask = ids.map(() => false);
  for (const [begin, stop] of spans) {
    const first = begin === 0 ? 0 : commonPrefix(ids, tokenizer.encode(text.slice(0, begin), { addSpecial }));
    const last = stop >= text.length
      ? ids.length
      : commonPrefix(ids, tokenizer.encode(text.slice(0, stop), { addSpecial }));
    mask.fill(true, first, last);
  }
  if (end !== undefined && ids.at(-1) !== end) {
    ids.push(end);
    mask.push(spans.some(([, stop]) => stop >= text.length));
  }
  if (mask.length) mask[0] = false;
  return { ids, mask };
}

/**
 * The ids of a text of any length, the same as `encode` gives, in time that grows with the length alone: BPE
 * without a pre-tokenizer takes a whole text as one word. The text is cut at line ends, where tokens meet; each
 * piece is encoded behind the newline that precedes it, whose ids are then left out.
 */
export function encodeLong(tokenizer: Pick<Tokenizer, "encode">, text: string): number[] {
  const newline = tokenizer.encode("\n", { addSpecial: false });
  const pieces = cutAtLines(text);
  const ids = tokenizer.encode(pieces[0]);
  for (const piece of pieces.slice(1)) {
    const next = tokenizer.encode("\n" + piece, { addSpecial: false });
    if (commonPrefix(newline, next) < newline.length) return tokenizer.encode(text);
    for (let i = newline.length; i < next.length; i++) ids.push(next[i]);
  }
  return ids;
}

const PIECE = 8192;

/** Pieces of at least PIECE characters that end in a newline and are followed by no white space. */
function cutAtLines(text: string): string[] {
  const pieces: string[] = [];
  let begin = 0;
  for (let cut = text.indexOf("\n", PIECE); cut >= 0;) {
    if (/\S/.test(text[cut + 1] ?? "")) {
      pieces.push(text.slice(begin, cut + 1));
      begin = cut + 1;
      cut = text.indexOf("\n", begin + PIECE);
    } else cut = text.indexOf("\n", cut + 1);
  }
  return [...pieces, text.slice(begin)];
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}
