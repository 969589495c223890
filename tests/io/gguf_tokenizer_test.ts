import { assert, assertEquals, assertThrows } from "@std/assert";
import type { GgufHeader, GgufValue } from "../../lib/io/gguf_format.ts";
import { ggufTokenizer } from "../../lib/io/gguf_tokenizer.ts";
import type { JsonObject } from "../../lib/io/json_file.ts";
import { loadTokenizer, makeTokenizer, type Tokenizer } from "../../lib/io/tokenizer.ts";
import { fixturePath, readFixture } from "../helpers/fixtures.ts";
import { referenceData } from "../helpers/requires.ts";

const cases = referenceData("tokcases/ggml_cases.json");
const gpt2 = referenceData("tokenizers/gpt2/tokenizer.json");
const llama2 = referenceData("tokenizers/llama2/tokenizer.model");
const readJson = async (path: string) => JSON.parse(await Deno.readTextFile(path));

function of(values: Record<string, GgufValue>): Tokenizer {
  const metadata: GgufHeader["metadata"] = new Map(Object.entries(values));
  const { json, files } = ggufTokenizer(metadata, "x.gguf");
  return makeTokenizer(json, files, "x.gguf");
}

/** Printable stand-ins of the bytes below 256 in byte-level BPE, the space's among them, and `more`. */
function byteLevel(pre: string, merges: string[], more: string[] = []): Record<string, GgufValue> {
  const bytes = [
    ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)),
    ...["Ġ", "Ċ", "č", "Ã", "©", "Ì", "ģ", "e\u0301"],
  ];
  const tokens = [...bytes, ...merges.map((merge) => merge.replace(" ", "")), ...more];
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": pre,
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": tokens.map((token) => more.includes(token) ? 3 : 1),
    "tokenizer.ggml.merges": merges,
  };
}

const pieces = (tokenizer: Tokenizer, text: string) =>
  tokenizer.encode(text).map((id) => tokenizer.decode([id], { keepSpecial: true }));

Deno.test("ggufTokenizer() splits digits as each pre-tokenizer does", () => {
  const merges = ["1 2", "12 3", "123 4", "Ġ 1", "Ġ a"];
  assertEquals(pieces(of(byteLevel("gpt-2", merges)), "a1234 1"), ["a", "1234", " 1"]);
  assertEquals(pieces(of(byteLevel("smollm", merges)), "a1234 a"), ["a", "1", "2", "3", "4", " a"]);
  assertEquals(pieces(of(byteLevel("llama-bpe", merges)), "a1234"), ["a", "123", "4"]);
  assertEquals(pieces(of(byteLevel("qwen2", merges)), "a1234"), ["a", "1", "2", "3", "4"]);
});

Deno.test("ggufTokenizer() composes characters for qwen2 alone, and takes whole words first for llama-bpe alone", () => {
  const composed = of(byteLevel("qwen2", ["Ã ©"]));
  assertEquals(composed.encode("e\u0301"), composed.encode("\u00e9"));
  const plain = of(byteLevel("gpt-2", ["Ã ©"]));
  assert(plain.encode("e\u0301").join() !== plain.encode("\u00e9").join());
  const words = (pre: string) => {
    const values = byteLevel(pre, ["a b", "ab c"]);
    values["tokenizer.ggml.merges"] = ["b c"];
    (values["tokenizer.ggml.tokens"] as string[]).push("bc");
    return pieces(of(values), "abc");
  };
  assertEquals(words("llama-bpe"), ["abc"]);
  assertEquals(words("gpt-2"), ["a", "bc"]);
});

Deno.test("ggufTokenizer() knows the special tokens, where a text begins and the chat template", () => {
  const values = byteLevel("smollm", [], ["<s>", "</s>"]);
  const id = (token: string) => (values["tokenizer.ggml.tokens"] as string[]).indexOf(token);
  const ids = { "tokenizer.ggml.bos_token_id": id("<s>"), "tokenizer.ggml.eos_token_id": id("</s>") };
  const plain = of({ ...values, ...ids, "tokenizer.chat_template": "{{ messages }}" });
  assertEquals([plain.bos, plain.eos, plain.chatTemplate], [id("<s>"), [id("</s>")], "{{ messages }}"]);
  assertEquals(plain.specialTokens, { bos_token: "<s>", eos_token: "</s>" });
  assertEquals(plain.encode("a</s>"), [id("a"), id("</s>")]);
  assertEquals(plain.decode([id("a"), id("</s>")]), "a");
  const begun = of({ ...values, ...ids, "tokenizer.ggml.add_bos_token": true });
  assertEquals(begun.encode("a"), [id("<s>"), id("a")]);
  assertEquals(begun.encode("a", { addSpecial: false }), [id("a")]);
  assertEquals(of({ ...values, ...ids, "tokenizer.ggml.pre": "llama-bpe" }).encode("a")[0], id("<s>"));
});

Deno.test("ggufTokenizer() refuses other kinds by name and parts of a wrong type", () => {
  const values = byteLevel("smollm", []);
  const fails = (change: Record<string, GgufValue>, message: string) =>
    assertThrows(() => of({ ...values, ...change }), Error, message);
  fails(
    { "tokenizer.ggml.pre": "falcon" },
    'found pre-tokenizer "falcon", expected model llama or gpt2 with gpt-2',
  );
  fails({ "tokenizer.ggml.pre": "toString" }, 'found pre-tokenizer "toString"');
  fails({ "tokenizer.ggml.model": "bert" }, 'Cannot use the tokenizer of x.gguf: found model "bert"');
  fails(
    { "tokenizer.ggml.tokens": 3 },
    "found number for tokenizer.ggml.tokens, expected an array of strings",
  );
  fails({ "tokenizer.ggml.merges": [1] }, "tokenizer.ggml.merges, expected an array of strings");
  assertThrows(() => of({}), Deno.errors.NotFound, "found no tokenizer.ggml.model");
});

/** Texts of llama.cpp's own cases on which the rebuilt tokenizer of `vocabulary` gives other ids. */
async function differing(
  vocabulary: string,
  tokenizer: Tokenizer,
): Promise<string[]> {
  const { texts, ids } = await readJson(cases.path);
  return texts.filter((text: string, i: number) =>
    tokenizer.encode(text, { addSpecial: false }).join() !== ids[vocabulary][i].join()
  );
}

Deno.test({
  name: "ggufTokenizer() gives llama.cpp's ids with the vocabulary of GPT-2",
  ignore: gpt2.ignore || cases.ignore,
  async fn() {
    const { model } = await readJson(gpt2.path);
    const tokenizer = of({
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.tokens": Object.keys(model.vocab).sort((p, q) => model.vocab[p] - model.vocab[q]),
      "tokenizer.ggml.merges": model.merges,
    });
    assertEquals(await differing("gpt-2", tokenizer), []);
  },
});

/** Pieces, scores and types of a SentencePiece model: fields 1, 2 and 3 of the messages in field 1 of the file. */
function sentencePieces(file: Uint8Array): { piece: string; score: number; type: number }[] {
  const pieces: ReturnType<typeof sentencePieces> = [];
  let at = 0;
  const varint = () => {
    for (let value = 0, shift = 0;; shift += 7) {
      value += (file[at] & 127) * 2 ** shift;
      if (file[at++] < 128) return value;
    }
  };
  while (file[at] === 0x0a) {
    at++;
    const end = varint() + at;
    const entry = { piece: "", score: 0, type: 1 };
    while (at < end) {
      const tag = file[at++];
      if (tag === 0x0a) {
        const length = varint();
        entry.piece = new TextDecoder().decode(file.subarray(at, at += length));
      } else if (tag === 0x15) {
        entry.score = new DataView(file.buffer, at).getFloat32(0, true);
        at += 4;
      } else {
        entry.type = varint();
      }
    }
    pieces.push(entry);
  }
  return pieces;
}

Deno.test({
  name: "ggufTokenizer() gives llama.cpp's ids with the vocabulary and scores of Llama 2",
  ignore: llama2.ignore || cases.ignore,
  async fn() {
    const pieces = sentencePieces(await Deno.readFile(llama2.path));
    assertEquals(pieces.length, 32000);
    const tokenizer = of({
      "tokenizer.ggml.model": "llama",
      "tokenizer.ggml.tokens": pieces.map(({ piece }) => piece),
      "tokenizer.ggml.scores": pieces.map(({ score }) => score),
      "tokenizer.ggml.token_type": pieces.map(({ type }) => type),
      "tokenizer.ggml.unknown_token_id": 0,
      "tokenizer.ggml.bos_token_id": 1,
      "tokenizer.ggml.eos_token_id": 2,
    });
    assertEquals(await differing("llama-spm", tokenizer), []);
    assertEquals(tokenizer.encode("Hello")[0], 1);
    const text = " naïve 🦙\n  two spaces";
    assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
  },
});

interface TokenizerFixture {
  /** Content of the tokenizer.json that the tokenizers package wrote. */
  tokenizer: JsonObject;
  /** Texts and its ids of them. */
  cases: { text: string; ids: number[] }[];
}

for (const pre of ["gpt-2", "smollm", "llama-bpe", "qwen2"]) {
  Deno.test(`loadTokenizer() of a GGUF file by gguf-py, ${pre}, gives the ids of the same model's tokenizer.json`, async () => {
    const name = `gguf_tokenizers/${pre}`;
    const { tokenizer: json, cases } = await readFixture<TokenizerFixture>(`${name}.json.gz`);
    const [fromGguf, fromJson] = [await loadTokenizer(fixturePath(`${name}.gguf`)), makeTokenizer(json)];
    assertEquals(fromGguf.vocabularySize, fromJson.vocabularySize);
    for (const { text, ids } of cases) {
      assertEquals([text, fromGguf.encode(text)], [text, ids]);
      assertEquals([text, fromJson.encode(text)], [text, ids]);
      for (const keepSpecial of [false, true]) {
        assertEquals(fromGguf.decode(ids, { keepSpecial }), fromJson.decode(ids, { keepSpecial }), text);
      }
    }
    assert(
      cases.some(({ ids, text }) => ids.length > 0 && ids.length < new TextEncoder().encode(text).length / 2),
    );
  });
}
