import { assertEquals, assertGreater } from "@std/assert";
import { encodeLong, encodeSpans } from "../../lib/datasets/encode.ts";
import { loadTokenizer, makeTokenizer } from "../../lib/io/tokenizer.ts";
import { byteTokenizer } from "../io/byte_tokenizer.ts";
import { referenceData } from "../helpers/requires.ts";

/** he = 256, ll = 257, Ġw = 258, <s> = 259, </s> = 260. */
const tokenizer = makeTokenizer(byteTokenizer());

/** The text of the tokens that count. */
function counted({ ids, mask }: { ids: readonly number[]; mask: readonly boolean[] }): string {
  return tokenizer.decode(ids.filter((_, i) => mask[i]), { keepSpecial: true });
}

Deno.test("encodeSpans() counts the tokens of the spans and the end, and leaves the ids as they are", () => {
  const row = encodeSpans(tokenizer, "a: hello", [[2, 8]], { end: 260 });
  assertEquals(row.ids, [...tokenizer.encode("a: hello"), 260]);
  assertEquals(counted(row), " hello</s>");
});

Deno.test("encodeSpans() counts a token that reaches over the border", () => {
  assertEquals(counted(encodeSpans(tokenizer, "xhe", [[2, 3]])), "he");
});

Deno.test("encodeSpans() counts several spans, and the end only after a span that reaches it", () => {
  const row = encodeSpans(tokenizer, "ab cd ef", [[0, 2], [5, 6]], { end: 260 });
  assertEquals(counted(row), "ab ");
  assertEquals(row.mask.at(-1), false);
});

Deno.test("encodeSpans() never counts the first token, nor puts the end twice", () => {
  const whole = encodeSpans(tokenizer, "ab", [[0, 2]], { addSpecial: false, end: 260 });
  assertEquals(whole, { ids: [97, 98, 260], mask: [false, true, true] });
  assertEquals(encodeSpans(tokenizer, "ab</s>", [[0, 6]], { end: 260 }).ids, [259, 97, 98, 260]);
});

Deno.test("encodeSpans() of an empty completion counts the end alone", () => {
  assertEquals(counted(encodeSpans(tokenizer, "ab", [[2, 2]], { end: 260 })), "</s>");
});

Deno.test("encodeLong() equals encode() on long text with line ends of all kinds", () => {
  const lines = [
    "hello  world\n",
    "\n",
    "  lead\n",
    "x\r\n",
    "\n\n\n",
    "tail \n",
    "he said: hell\n\t\n",
    "é你\n",
  ];
  const text = Array.from({ length: 20_000 }, (_, i) => lines[(i * i + (i >> 3)) % lines.length]).join("");
  assertGreater(text.length, 100_000);
  assertEquals(encodeLong(tokenizer, text), tokenizer.encode(text));
  assertEquals(encodeLong(tokenizer, ""), tokenizer.encode(""));
  assertEquals(encodeLong(tokenizer, "no line end"), tokenizer.encode("no line end"));
});

const stories = referenceData("stories260k/hf_derived");
const gpt2 = referenceData("tokenizers/gpt2/tokenizer.json");
const texts = referenceData("lmtext/tinystories_sample.txt");
Deno.test({
  name: "encodeLong() equals encode() with a SentencePiece and a byte-level tokenizer on real text",
  ignore: stories.ignore || gpt2.ignore || texts.ignore,
  async fn() {
    const text = (await Deno.readTextFile(texts.path)).slice(0, 60_000);
    for (
      const real of [
        await loadTokenizer(stories.path),
        makeTokenizer(JSON.parse(await Deno.readTextFile(gpt2.path))),
      ]
    ) {
      assertEquals(encodeLong(real, text), real.encode(text));
    }
  },
});
