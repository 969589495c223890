import { assert, assertEquals } from "@std/assert";
import { CHOICE_SETS, type Item } from "../../data/make/choices.ts";
import { readRows, tinyEncoder } from "./tiny.ts";

const encode = tinyEncoder();
const sets = Object.keys(CHOICE_SETS).map((name) => [name, readRows<Item>(`tasks/${name}.jsonl`)] as const);

Deno.test("choiceSet() makes each position right equally often, and no item twice", () => {
  for (const [name, items] of sets) {
    const size = items[0].choices.length;
    for (let answer = 0; answer < size; answer++) {
      const share = items.filter((item) => item.answer === answer).length / items.length;
      assert(Math.abs(share - 1 / size) * items.length <= 1, `${name}: ${answer} is right in ${share}`);
    }
    assertEquals(
      new Set(items.map((item) => JSON.stringify([item.prompt, item.choices]))).size,
      items.length,
    );
    for (const item of items) assertEquals(new Set(item.choices).size, size, `${name}: ${item.prompt}`);
  }
});

Deno.test("choiceSet() cannot be solved by the length of a choice", () => {
  for (const [name, items] of sets) {
    const chance = 1 / items[0].choices.length;
    // Four standard deviations of the accuracy of guessing.
    const bound = chance + 4 * Math.sqrt(chance * (1 - chance) / items.length);
    for (
      const length of [(choice: string) => choice.length, (choice: string) => encode(` ${choice}`).length]
    ) {
      for (const sign of [1, -1]) {
        // A tie is shared among those that are tied.
        const right = items.reduce((sum, { choices, answer }) => {
          const lengths = choices.map((choice) => sign * length(choice));
          const longest = Math.max(...lengths);
          return sum + (lengths[answer] === longest ? 1 / lengths.filter((x) => x === longest).length : 0);
        }, 0);
        assert(right / items.length <= bound, `${name}: ${right} of ${items.length} by length`);
      }
    }
  }
});

Deno.test("tasks/train.jsonl asks nothing that a set asks", () => {
  const prompts = new Set(readRows<{ prompt: string }>("tasks/train.jsonl").map((row) => row.prompt));
  assert(prompts.size > 100);
  for (const [name, items] of sets) {
    for (const { prompt } of items) assert(!prompts.has(prompt), `${name}: ${prompt}`);
  }
});
