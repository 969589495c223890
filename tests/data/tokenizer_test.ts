import { assert, assertEquals } from "@std/assert";
import { Tokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { SPECIAL_TOKENS, tokenizerJson, trainBpe } from "../../data/make/bpe.ts";
import { VALUES } from "../../data/make/lexicon.ts";
import { pretrainBatches } from "../../data/make/pretrain_batches.ts";
import type { Row } from "../../data/make/targets.ts";
import { readRows, tinyEncoder } from "./tiny.ts";

const encode = tinyEncoder();

Deno.test("trainBpe() merges the most frequent pair first and breaks ties by text", () => {
  const { vocabulary, merges } = trainBpe("ab ab ab cd cd", 3 + 256 + 3);
  assertEquals(merges, [["a", "b"], ["c", "d"], ["Ġ", "ab"]]);
  assertEquals(vocabulary.slice(0, 3), [...SPECIAL_TOKENS]);
  assertEquals(new Set(vocabulary).size, vocabulary.length);
});

Deno.test("tokenizerJson() encodes any text to ids below the vocabulary and back", () => {
  const bpe = trainBpe("a small text, and another small text", 270);
  const tokenizer = new Tokenizer(JSON.parse(tokenizerJson(bpe)), {});
  for (const text of ["another text", "naïve – 日本 🙂", " \n\t x  y ", "don't"]) {
    const ids = tokenizer.encode(text, { add_special_tokens: false }).ids;
    assert(ids.every((id) => id < 270));
    assertEquals(
      tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
      text,
    );
  }
  assertEquals(tokenizer.encode("another text").ids[0], 1);
});

Deno.test("encoder() gives a value of an attribute one token, and splits at the end of a prompt", () => {
  for (const value of Object.values(VALUES).flat()) assertEquals(encode(` ${value}`).length, 1, value);
  for (const path of ["facts/train", "facts/test", "format/validation", "tasks/train"]) {
    for (const { prompt, completion } of readRows<Row>(`${path}.jsonl`)) {
      assertEquals(encode(prompt + completion), [...encode(prompt), ...encode(completion)], prompt);
    }
  }
});

Deno.test("pretrainBatches() has every token of every target", () => {
  const seen = new Set<number>();
  for (const { position, ids } of pretrainBatches(encode, { seed: 1, batchSize: 32, seqLen: 64 })) {
    for (const id of ids) seen.add(id);
    if (position === 299) break;
  }
  for (const target of ["facts", "format", "far"]) {
    for (const role of ["train", "validation", "test"]) {
      for (const row of readRows<Row & { text?: string }>(`${target}/${role}.jsonl`)) {
        const text = row.text ?? row.prompt + row.completion;
        for (const id of encode(text)) assert(seen.has(id), `${target}/${role}: ${text}: token ${id}`);
      }
    }
  }
});

Deno.test("pretrainBatches() goes on at a position with the same rows, and seeds differ", () => {
  const options = { seed: 1, batchSize: 4, seqLen: 32 };
  const whole = pretrainBatches(encode, options);
  const first = Array.from({ length: 6 }, () => whole.next().value);
  const resumed = pretrainBatches(encode, { ...options, position: 4 });
  assertEquals(resumed.next().value, first[4]);
  assertEquals(resumed.next().value, first[5]);
  assert(first[0].ids.join() !== first[1].ids.join());
  const other = pretrainBatches(encode, { ...options, seed: 2 }).next().value;
  assert(other.ids.join() !== first[0].ids.join());
});

Deno.test("tokenizer.json gives the ids of Python's tokenizers", () => {
  const read = (path: string) => JSON.parse(Deno.readTextFileSync(new URL(path, import.meta.url)));
  const tokenizer = new Tokenizer(read("../../data/tiny/tokenizer.json"), {});
  const { rows } = read("fixtures/tokenizer_ids.json") as { rows: { text: string; ids: number[] }[] };
  assertEquals(rows.length, 105);
  for (const { text, ids } of rows) assertEquals(tokenizer.encode(text).ids, ids, text);
});
