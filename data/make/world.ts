import { Rng } from "../../lib/core/rng.ts";
import {
  type Attribute,
  ATTRIBUTES,
  COLOURS,
  DAYS,
  FIRST_NAMES,
  REGIONS,
  SURNAMES,
  THINGS,
  VALUES,
} from "./lexicon.ts";

/** A full name. */
export interface Name {
  readonly first: string;
  readonly last: string;
}

/** A person with one value for each attribute. */
export interface Person extends Name {
  readonly facts: Readonly<Record<Attribute, string>>;
}

/** Three generations with one surname: `elder` is the parent of `parent`, who is the parent of `child`. */
export interface Family {
  readonly elder: Person;
  readonly parent: Person;
  readonly child: Person;
}

/** A coloured thing and its owner. */
export interface Property {
  readonly thing: string;
  readonly owner: Person;
}

/**
 * The world of one seed. Every pair of a given name and a surname is in at most one of four groups:
 * people of the world (pretraining tells their facts), newcomers (the new facts of the fine-tuning target; their
 * pairs are in no other text), and two groups of visitors, who have no lasting facts: those of pretraining's stories
 * and those of the stories in the multiple-choice sets.
 */
export interface World {
  readonly people: readonly Person[];
  readonly families: readonly Family[];
  readonly newcomers: readonly Person[];
  readonly visitors: readonly Name[];
  readonly heldOutVisitors: readonly Name[];
  readonly property: readonly Property[];
  /** Region and market day of each town. */
  readonly towns: ReadonlyMap<string, { readonly region: string; readonly market: string }>;
}

/** Newcomers in the new-facts target. */
export const NEWCOMERS = 64;
const HELD_OUT_VISITORS = 128;

/** The world of `seed`: the same seed gives the same world. */
export function makeWorld(seed: number): World {
  const rng = new Rng(seed, "world");
  const pairs = shuffledPairs(rng);
  // 32 families of three, one for each surname; each given name is used three times.
  const people: Person[] = [];
  const families: Family[] = [];
  const given = rng.shuffle(FIRST_NAMES);
  const names = SURNAMES.flatMap((last, i) =>
    [0, 11, 23].map((turn) => ({ first: given[(i + turn) % given.length], last }))
  );
  const facts = balancedFacts(names.length, rng);
  names.forEach((name, i) => people.push({ ...name, facts: facts[i] }));
  for (let i = 0; i < people.length; i += 3) {
    families.push({ elder: people[i], parent: people[i + 1], child: people[i + 2] });
  }
  const used = new Set(people.map(fullName));
  const free = pairs.filter((name) => !used.has(fullName(name)));
  const newFacts = balancedFacts(NEWCOMERS, rng);
  const newcomers = free.slice(0, NEWCOMERS).map((name, i) => ({ ...name, facts: newFacts[i] }));
  const owners = rng.shuffle(people);
  const property = COLOURS.flatMap((colour) => THINGS.map((thing) => `${colour} ${thing}`))
    .map((thing, i) => ({ thing, owner: owners[i % owners.length] }));
  const towns = new Map(
    rng.shuffle(VALUES.town).map((town, i) => [town, {
      region: REGIONS[i % REGIONS.length],
      market: DAYS[rng.below(DAYS.length)],
    }]),
  );
  return {
    people,
    families,
    newcomers,
    visitors: free.slice(NEWCOMERS + HELD_OUT_VISITORS),
    heldOutVisitors: free.slice(NEWCOMERS, NEWCOMERS + HELD_OUT_VISITORS),
    property,
    towns,
  };
}

/** Given name and surname with a space between. */
export function fullName(name: Name): string {
  return `${name.first} ${name.last}`;
}

/** She or He, by the given name. */
export function pronoun(name: Name): "She" | "He" {
  return isWoman(name) ? "She" : "He";
}

/** Whether the given name is a woman's. */
export function isWoman(name: Name): boolean {
  return FIRST_NAMES.indexOf(name.first) < FIRST_NAMES.length / 2;
}

function shuffledPairs(rng: Rng): Name[] {
  return rng.shuffle(FIRST_NAMES.flatMap((first) => SURNAMES.map((last) => ({ first, last }))));
}

/** Facts of `n` people in which each value of an attribute is used equally often. */
function balancedFacts(n: number, rng: Rng): Person["facts"][] {
  const columns = ATTRIBUTES.map((attribute) => {
    const values = VALUES[attribute];
    return rng.shuffle(Array.from({ length: n }, (_, i) => values[i % values.length]));
  });
  return Array.from(
    { length: n },
    (_, i) =>
      Object.fromEntries(ATTRIBUTES.map((attribute, k) => [attribute, columns[k][i]])) as Person["facts"],
  );
}
