/**
 * Byte-level byte-pair encoding, trained and written in the form of Hugging Face's `tokenizer.json`.
 *
 * Source: Sennrich et al. 2016, arXiv:1508.07909v5, §3.2 (merges), on bytes with the pre-tokeniser of GPT-2
 * (Radford et al. 2019). Ties between pairs go to the pair whose text sorts first, so training is deterministic.
 */

/** Special tokens, first in the vocabulary: ids 0, 1 and 2. */
export const SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>"] as const;

/** The pre-tokeniser's pattern, that of GPT-2: what `ByteLevel` with `use_regex` splits by. */
const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Vocabulary, in order of id, and merges, in order of rank. */
export interface Bpe {
  readonly vocabulary: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * Learns merges from `text` until the vocabulary (special tokens, 256 bytes, merges) has `size` entries.
 *
 * @throws {RangeError} If `text` has too few different pairs for a vocabulary of `size`.
 */
export function trainBpe(text: string, size: number): Bpe {
  const alphabet = byteAlphabet();
  const counts = new Map<string, number>();
  for (const [word] of text.matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const encoder = new TextEncoder();
  const words = [...counts].map(([word, count]) => ({
    symbols: [...encoder.encode(word)].map((byte) => alphabet[byte]),
    count,
  }));
  const vocabulary: string[] = [...SPECIAL_TOKENS, ...[...alphabet].sort()];
  const merges: [string, string][] = [];
  while (vocabulary.length < size) {
    const pair = mostFrequentPair(words);
    if (pair === undefined) {
      throw new RangeError(
        `Cannot train BPE to ${size} tokens: got text that is exhausted at ${vocabulary.length}, expected more text`,
      );
    }
    merges.push(pair);
    vocabulary.push(pair[0] + pair[1]);
    for (const word of words) word.symbols = merge(word.symbols, pair);
  }
  return { vocabulary, merges };
}

/** `tokenizer.json` of `bpe`: byte-level in and out, `<bos>` put first when special tokens are asked for. */
export function tokenizerJson({ vocabulary, merges }: Bpe): string {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<bos>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [
        { SpecialToken: { id: "<bos>", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
      ],
      special_tokens: { "<bos>": { id: "<bos>", ids: [1], tokens: ["<bos>"] } },
    },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  };
  return JSON.stringify(json, null, 1) + "\n";
}

/** The printable character that stands for each byte, as GPT-2 assigns them. */
function byteAlphabet(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let extra = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : extra++));
}

function mostFrequentPair(
  words: readonly { symbols: readonly string[]; count: number }[],
): [string, string] | undefined {
  const pairs = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const key = `${symbols[i - 1]} ${symbols[i]}`;
      pairs.set(key, (pairs.get(key) ?? 0) + count);
    }
  }
  let best: string | undefined;
  let most = 0;
  for (const [key, count] of pairs) {
    if (count > most || (count === most && best !== undefined && key < best)) [best, most] = [key, count];
  }
  return best?.split(" ") as [string, string] | undefined;
}

function merge(symbols: string[], [left, right]: readonly [string, string]): string[] {
  const out: string[] = [];
  for (const symbol of symbols) {
    if (symbol === right && out.at(-1) === left) out[out.length - 1] = left + right;
    else out.push(symbol);
  }
  return out;
}
