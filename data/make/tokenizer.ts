import { Tokenizer } from "npm:@huggingface/tokenizers@0.2.0";

/** Text to token ids, without special tokens. */
export type Encode = (text: string) => number[];

/** Ids of `<bos>` and `<eos>`. */
export const BOS = 1;
/** Id of `<eos>`. */
export const EOS = 2;

/** The encoder of a `tokenizer.json`, read as text. */
export function encoder(json: string): Encode {
  const tokenizer = new Tokenizer(JSON.parse(json), {});
  return (text) => tokenizer.encode(text, { add_special_tokens: false }).ids;
}
