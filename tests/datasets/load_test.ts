import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import type { TokenRow } from "../../lib/datasets/encode.ts";
import { instructionPrompt, rowForm } from "../../lib/datasets/forms.ts";
import {
  type Dataset,
  type DatasetOptions,
  loadDataset,
  parseDataset,
  parseIds,
} from "../../lib/datasets/load.ts";
import { makeTokenizer } from "../../lib/io/tokenizer.ts";
import { byteTokenizer } from "../io/byte_tokenizer.ts";
import { referenceData } from "../helpers/requires.ts";

const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}" +
  "{% if add_generation_prompt %}[assistant]{% endif %}";
const tokenizer = makeTokenizer(byteTokenizer(), {
  tokenizerConfig: { bos_token: "<s>", eos_token: "</s>", chat_template: TEMPLATE },
});
const plain = makeTokenizer(byteTokenizer(), { tokenizerConfig: { bos_token: "<s>", eos_token: "</s>" } });

function rows(...values: unknown[]): string {
  return values.map((value) => JSON.stringify(value) + "\n").join("");
}

function load(text: string, options?: DatasetOptions, name = "d.jsonl"): Dataset {
  return parseDataset(text, name, tokenizer, options);
}

function whole({ ids }: TokenRow): string {
  return tokenizer.decode(ids, { keepSpecial: true });
}

function counted({ ids, mask }: TokenRow): string {
  return tokenizer.decode(ids.filter((_, i) => mask[i]), { keepSpecial: true });
}

Deno.test("parseDataset() of prompts and completions counts the completion and the end", () => {
  const { kind, groups: [[row]] } = load(rows({ prompt: "Q: he?", completion: " yes" }));
  assertEquals([kind, whole(row), counted(row)], ["rows", "<s>Q: he? yes</s>", " yes</s>"]);
  const { groups: [[all]] } = load(rows({ prompt: "Q: he?", completion: " yes" }), { maskPrompt: false });
  assertEquals(counted(all), "Q: he? yes</s>");
  const { groups: [[open]] } = load(rows({ prompt: "Q: he?", completion: " yes" }), { addEnd: false });
  assertEquals(counted(open), " yes");
});

Deno.test("parseDataset() puts instructions in Alpaca's prompt, with and without input", () => {
  const { groups: [[bare, full]] } = load(rows(
    { instruction: "Add.", input: "", output: "3" },
    { instruction: "Add.", input: "1 2", output: "3" },
  ));
  assertEquals(
    whole(bare),
    "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request." +
      "\n\n### Instruction:\nAdd.\n\n### Response:\n3</s>",
  );
  assertEquals(
    whole(full),
    "<s>Below is an instruction that describes a task, paired with an input that provides further context. Write a " +
      "response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3</s>",
  );
  assertEquals([counted(bare), counted(full)], ["3</s>", "3</s>"]);
  assertEquals(instructionPrompt("Add.", undefined), instructionPrompt("Add.", ""));
});

Deno.test("parseDataset() renders conversations by the chat template and counts the assistant's turns", () => {
  const messages = [
    { role: "user", content: "hi" },
    { role: "assistant", content: "hello" },
    { role: "user", content: "bye" },
    { role: "assistant", content: "bye!" },
  ];
  const { groups: [[row]] } = load(rows({ messages }));
  assertEquals(whole(row), "<s>[user]hi</s>[assistant]hello</s>[user]bye</s>[assistant]bye!</s>");
  assertEquals(counted(row), "hello</s>bye!</s>");
});

Deno.test("parseDataset() asks for a chat template where there is none", () => {
  const text = rows({ messages: [{ role: "user", content: "hi" }] });
  const error = assertThrows(() => parseDataset(text, "d.jsonl", plain), RangeError, "d.jsonl line 1");
  assertStringIncludes(error.message, "no chat_template");
});

Deno.test("parseDataset() refuses a chat template that rewrites earlier turns", () => {
  const last = "{% for m in messages %}{% if loop.last %}!{% endif %}{{ m.content }}{% endfor %}";
  const rewriting = makeTokenizer(byteTokenizer(), { tokenizerConfig: { chat_template: last } });
  const messages = ["a", "b", "c"].map((content) => ({ role: "assistant", content }));
  assertThrows(
    () => parseDataset(rows({ messages }), "d.jsonl", rewriting),
    RangeError,
    "differently when more follow",
  );
});

Deno.test("parseDataset() keeps text rows whole and ends each", () => {
  const { kind, groups: [[first, second]], truncated } = load(rows({ text: "hello" }, { text: "w" }), {
    seqLen: 2,
  });
  assertEquals([kind, truncated, whole(first), whole(second)], ["text", 0, "<s>hello</s>", "<s>w</s>"]);
  const { kind: of, groups: [[all]] } = load("hello\n w", {}, "d.txt");
  assertEquals([of, whole(all), counted(all)], ["text", "<s>hello\n w", "hello\n w"]);
});

Deno.test("parseDataset() counts what it cuts and what it leaves out", () => {
  const text = rows(
    { prompt: "abc", completion: "defg" },
    { prompt: "abcdefgh", completion: "i" },
    { prompt: "a", completion: "b" },
  );
  const { groups: [kept], truncated, skipped } = load(text, { seqLen: 5 });
  assertEquals([truncated, skipped], [2, 1]);
  assertEquals(kept.map(counted), ["de", "b</s>"]);
  assertEquals(kept.map(({ ids }) => ids.length), [6, 4]);
});

Deno.test("parseDataset() takes a .json list of rows", () => {
  const { groups: [[row]] } = load(JSON.stringify([{ prompt: "a", completion: "b" }]), {}, "d.json");
  assertEquals(counted(row), "b</s>");
});

Deno.test("parseDataset() takes batches as they are, without a tokenizer", () => {
  const text = JSON.stringify({ batches: [[[1, 2, 3], [4, 5]], [[6, 7]]] });
  const { kind, groups } = parseDataset(text, "d.json");
  assertEquals(kind, "batches");
  assertEquals(groups[0][0], { ids: [1, 2, 3], mask: [false, true, true] });
  assertEquals(groups.map((group) => group.length), [2, 1]);
});

const MALFORMED: [string, string, new () => Error, string][] = [
  ["a line that is not JSON", '{"text":"a"}\n{"text"', SyntaxError, "d.jsonl line 2: expected JSON"],
  [
    "a row of no known form",
    rows({ question: "a" }),
    SyntaxError,
    'line 1: found {"question":"a"}, expected {"text"}',
  ],
  [
    "a row of another form",
    rows({ text: "a" }, { prompt: "a", completion: "b" }),
    SyntaxError,
    "line 2: found",
  ],
  ["a row that is a list", rows({ text: "a" }, ["a"]), SyntaxError, 'line 2: found ["a"]'],
  ["a text that is a number", rows({ text: 3 }), SyntaxError, 'line 1: found {"text":3}'],
  ["a null row", rows(null), SyntaxError, "line 1: found null"],
  [
    "a message without a role",
    rows({ messages: [{ content: "a" }] }),
    RangeError,
    "line 1: found messages that lack",
  ],
  ["an empty file", "\n", RangeError, "Cannot read d.jsonl: found no rows"],
];
for (const [what, text, type, says] of MALFORMED) {
  Deno.test(`parseDataset() refuses ${what}, by its line`, () => {
    assertThrows(() => load(text), type, says);
  });
}

const BAD_BATCHES: [string, unknown, new () => Error, string][] = [
  ["no batches", { rows: [] }, SyntaxError, "expected {"],
  ["an empty list", { batches: [] }, SyntaxError, "expected {"],
  ["an empty batch", { batches: [[]] }, SyntaxError, "expected {"],
  [
    "a row of one token",
    { batches: [[[1, 2]], [[1]]] },
    SyntaxError,
    "batch 2 row 1: expected a list of at least 2",
  ],
  ["a fraction", { batches: [[[1, 2.5]]] }, RangeError, "found token id 2.5"],
  [
    "an id past the vocabulary",
    { batches: [[[1, 2], [1, 261]]] },
    RangeError,
    "batch 1 row 2: found token id 261",
  ],
];
for (const [what, json, type, says] of BAD_BATCHES) {
  Deno.test(`parseDataset() refuses batches with ${what}`, () => {
    assertThrows(() => load(JSON.stringify(json), {}, "d.json"), type, says);
  });
}

Deno.test("parseDataset() says which endings it knows and when it needs a tokenizer", () => {
  assertThrows(() => load("a", {}, "d.csv"), RangeError, "expected .jsonl, .json, .parquet or .txt");
  assertThrows(() => parseDataset("a", "d.txt"), TypeError, "needs a tokenizer");
});

Deno.test("loadDataset() reads a file and says when there is none", async () => {
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  await Deno.writeTextFile(path, rows({ text: "hello" }));
  assertEquals((await loadDataset(path, tokenizer)).groups[0].length, 1);
  await Deno.remove(path);
  await assertRejects(() => loadDataset(path, tokenizer), Deno.errors.NotFound);
});

Deno.test("parseIds() reads rows of ids, each scored by itself", () => {
  assertEquals(parseIds("[[1,2],[3,4,5]]", "i.json", 6).map(({ ids }) => ids), [[1, 2], [3, 4, 5]]);
  assertThrows(
    () => parseIds("[[1,6]]", "i.json", 6),
    RangeError,
    "i.json row 1: found token id 6, expected a whole",
  );
  assertThrows(() => parseIds('{"a":1}', "i.json"), SyntaxError, "expected [[ids]");
});

Deno.test("rowForm() prefers messages to prompts to instructions to text", () => {
  const all = { messages: [], prompt: "", completion: "", instruction: "", output: "", text: "" };
  assertEquals(rowForm(all), "messages");
  assertEquals(rowForm({ ...all, messages: 1 }), "completion");
  assertEquals(rowForm({ instruction: "", output: "", text: "" }), "instruction");
  assertEquals(rowForm({ prompt: "" }), undefined);
});

const alpaca = referenceData("instruct/alpaca_5000.json");
const wikisql = referenceData("instruct/wikisql_mlx/valid.jsonl");
Deno.test({
  name: "loadDataset() reads published instruction and text files",
  ignore: alpaca.ignore || wikisql.ignore,
  async fn() {
    const { groups: [instructions], truncated, skipped } = await loadDataset(alpaca.path, tokenizer, {
      seqLen: 256,
    });
    assertEquals(instructions.length + skipped, 5000);
    assertEquals(instructions.filter(({ ids }) => ids.length === 257).length + skipped >= truncated, true);
    assertEquals((await loadDataset(wikisql.path, tokenizer)).groups[0].length, 100);
  },
});
