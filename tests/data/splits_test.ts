import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { makeFiles } from "../../data/make/files.ts";
import { WORLD_SEED } from "../../data/make/pretrain_batches.ts";
import { FACT_TEMPLATES, fill, type Role, VISIT_TEMPLATES } from "../../data/make/templates.ts";
import type { Row } from "../../data/make/targets.ts";
import { ATTRIBUTES, VALUES } from "../../data/make/lexicon.ts";
import { fullName, makeWorld } from "../../data/make/world.ts";
import { readRows, tinyEncoder } from "./tiny.ts";

const ROLES: readonly Role[] = ["train", "validation", "test"];
const world = makeWorld(WORLD_SEED);
const encode = tinyEncoder();

/** The rows of a target, without the general text that is mixed into its training split. */
function target(path: string): Row[] {
  return readRows<Row>(path).filter((row) => row.prompt !== "");
}

Deno.test("training splits, and they alone, hold replayed general text", () => {
  const { splits } = makeFiles();
  for (const name of ["facts", "format"]) {
    const replay = readRows<Row>(`${name}/train.jsonl`).filter((row) => row.prompt === "");
    assert(replay.length > 0);
    assertEquals(replay.length, splits[`${name}/train.jsonl`].replayRows);
    for (const role of ["validation", "test"]) {
      assertEquals(target(`${name}/${role}.jsonl`).length, readRows(`${name}/${role}.jsonl`).length);
    }
  }
});

Deno.test("makeWorld() puts each full name into one group at most", () => {
  const groups = [world.people, world.newcomers, world.visitors, world.heldOutVisitors];
  const names = groups.flatMap((group) => group.map(fullName));
  assertEquals(new Set(names).size, names.length);
  assertEquals(groups.map((group) => group.length), [96, 64, 736, 128]);
});

Deno.test("makeWorld() uses each value of an attribute equally often among people and newcomers", () => {
  for (const group of [world.people, world.newcomers]) {
    for (const attribute of ATTRIBUTES) {
      for (const value of VALUES[attribute]) {
        const count = group.filter((person) => person.facts[attribute] === value).length;
        assertEquals(count, group.length / 16, `${attribute} ${value}`);
      }
    }
  }
});

Deno.test("factTarget() tells the same facts in every split and no template twice", () => {
  const facts = ROLES.map((role) => {
    const told = new Map<string, Set<string>>();
    const rows = readRows<Row>(`facts/${role}.jsonl`);
    assert(role === "train" || rows.length >= 1000);
    for (const person of world.newcomers) {
      for (const attribute of ATTRIBUTES) {
        const completions = FACT_TEMPLATES[attribute][role].map((template) => {
          const prompt = fill(template, { N: fullName(person) });
          return rows.find((row) => row.prompt === prompt)?.completion;
        });
        told.set(`${fullName(person)} ${attribute}`, new Set(completions as string[]));
      }
    }
    return told;
  });
  for (const [key, values] of facts[0]) {
    assertEquals(values.size, 1, key);
    for (const other of facts) assertEquals(other.get(key), values, key);
  }
  const templates = ATTRIBUTES.flatMap((a) => ROLES.flatMap((role) => FACT_TEMPLATES[a][role]));
  assertEquals(new Set(templates).size, templates.length);
});

Deno.test("splits share no row, and no prompt or text", () => {
  for (const name of ["facts", "format", "far"]) {
    const prompts = ROLES.map((role) =>
      new Set(readRows<Row>(`${name}/${role}.jsonl`).map((row) => row.prompt || row.completion))
    );
    for (const [a, b] of [[0, 1], [0, 2], [1, 2]]) {
      assertEquals([...prompts[a]].filter((prompt) => prompts[b].has(prompt)), [], name);
    }
  }
  const templates = ROLES.flatMap((role) => VISIT_TEMPLATES[role]);
  assertEquals(new Set(templates).size, templates.length);
});

Deno.test("general text never names a newcomer, nor a visitor of the choice sets' stories", () => {
  for (const name of ["train", "held_out"]) {
    const text = readRows<Row>(`general/${name}.jsonl`).map((row) => row.completion).join("\n");
    for (const person of [...world.newcomers, ...world.heldOutVisitors]) {
      assert(!text.includes(fullName(person)), fullName(person));
    }
    assert(world.visitors.some((visitor) => text.includes(fullName(visitor))));
  }
});

Deno.test("formatTarget() writes town, work and name of the prompt, then a source that nothing predicts", () => {
  const sources = new Map<string, number>();
  for (const { prompt, completion } of ROLES.flatMap((role) => target(`format/${role}.jsonl`))) {
    const [town, work, name, source] = completion.slice(3, -2).split(" / ");
    for (const part of [town, work, name]) assert(prompt.includes(part), `${prompt}${completion}`);
    sources.set(source, (sources.get(source) ?? 0) + 1);
  }
  // 3,072 draws of 4: a count is off by more than five standard deviations once in a million.
  for (const count of sources.values()) assertAlmostEquals(count, 768, 5 * Math.sqrt(3072 * 3 / 16));
  assertEquals(sources.size, 4);
});

Deno.test("far rows are postfix terms whose value stands at the end", () => {
  for (const { completion: text } of ROLES.flatMap((role) => readRows<Row>(`far/${role}.jsonl`))) {
    const [term, value] = text.split(" = ");
    const stack: number[] = [];
    for (const sign of term.split(" ")) {
      if (/\d/.test(sign)) stack.push(Number(sign));
      else {
        const b = stack.pop()!;
        const a = stack.pop()!;
        stack.push(sign === "+" ? a + b : sign === "-" ? a - b : a * b);
      }
    }
    assertEquals(stack.length, 1, text);
    assertEquals(((stack[0] % 10) + 10) % 10, Number(value), text);
  }
});

Deno.test("splits have the entropy and format floors that their rows imply", () => {
  const { splits } = makeFiles();
  for (const role of ROLES) {
    const rows = target(`facts/${role}.jsonl`);
    // Entropy of the value given the attribute, from the rows themselves: the prompt's end names the attribute.
    let nats = 0;
    for (const attribute of ATTRIBUTES) {
      const own = rows.filter((row) => VALUES[attribute].includes(row.completion.slice(1, -1) as never));
      for (const value of VALUES[attribute]) {
        const p = own.filter((row) => row.completion === ` ${value}.`).length / own.length;
        nats -= own.length * p * Math.log(p);
      }
    }
    const tokens = rows.reduce((sum, row) => sum + encode(row.completion).length + 1, 0);
    const split = splits[`facts/${role}.jsonl`];
    assertEquals([split.rows, split.predictedTokens], [rows.length, tokens]);
    assertAlmostEquals(split.formatFloor!, nats / tokens, 1e-12);
    assertEquals(split.entropyFloor, 0);
    const format = target(`format/${role}.jsonl`);
    const formatTokens = format.reduce((sum, row) => sum + encode(row.completion).length + 1, 0);
    assertAlmostEquals(
      splits[`format/${role}.jsonl`].entropyFloor!,
      format.length * Math.log(4) / formatTokens,
      1e-12,
    );
  }
});
