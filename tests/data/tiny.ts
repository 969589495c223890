import { type Encode, encoder } from "../../data/make/tokenizer.ts";

/** Rows of a jsonl file under data/tiny. */
export function readRows<T>(path: string): T[] {
  return Deno.readTextFileSync(new URL(path, TINY)).trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The encoder of data/tiny. */
export function tinyEncoder(): Encode {
  return encoder(Deno.readTextFileSync(new URL("tokenizer.json", TINY)));
}

const TINY = new URL("../../data/tiny/", import.meta.url);
