import type { JsonObject } from "../../lib/io/json_file.ts";

/** The printable character that stands for each byte in a byte-level BPE vocabulary (GPT-2's table). */
function byteCharacters(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

/**
 * tokenizer.json of a byte-level BPE with the 256 bytes as ids 0 to 255, these merges after them (written as
 * pairs of strings of ASCII letters or Ġ for a space), then `<s>` and `</s>`; a text begins with `<s>`.
 */
export function byteTokenizer(merges: [string, string][] = [["h", "e"], ["l", "l"], ["Ġ", "w"]]): JsonObject {
  const vocab = Object.fromEntries(byteCharacters().map((c, id) => [c, id]));
  merges.forEach(([a, b], i) => vocab[a + b] = 256 + i);
  const bos = 256 + merges.length;
  const special = (id: number, content: string) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(bos, "<s>"), special(bos + 1, "</s>")],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, {
        Sequence: { id: "B", type_id: 1 },
      }],
      special_tokens: { "<s>": { id: "<s>", ids: [bos], tokens: ["<s>"] } },
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
