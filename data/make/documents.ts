import type { Rng } from "../../lib/core/rng.ts";
import { arithmetic, calendar, echo, ledger, tools } from "./common_knowledge.ts";
import { type Attribute, ATTRIBUTES, VALUES } from "./lexicon.ts";
import { story } from "./story.ts";
import { FACT_TEMPLATES, fill, PRONOUN_TEMPLATES, type Role } from "./templates.ts";
import { fullName, isWoman, type Name, type Person, pronoun, type World } from "./world.ts";

/**
 * How often a text tells a fact wrongly. A model that has learnt the world is right nine times in ten, and not
 * certain: its loss on facts stays well above zero, so knowing them is not the same as having memorised a text.
 */
export const ERROR_RATE = 0.1;

/** One document of general text: a kind is drawn by weight, then a text of that kind. */
export function makeDocument(world: World, visitors: readonly Name[], rng: Rng): string {
  const at = rng.uniform() * TOTAL;
  let sum = 0;
  for (const [weight, make] of KINDS) {
    sum += weight;
    if (at < sum) return make(world, rng, visitors);
  }
  throw new RangeError(`Cannot draw a kind of document at ${at}: expected less than ${TOTAL}`);
}

type Make = (world: World, rng: Rng, visitors: readonly Name[]) => string;

const KINDS: readonly (readonly [number, Make])[] = [
  [24, sentence],
  [12, portrait],
  [32, (_, rng, visitors) => story(visitors, rng)],
  [6, (_, rng) => echo(rng)],
  [6, truth],
  [5, kinship],
  [3, property],
  [5, place],
  [4, (_, rng) => arithmetic(rng)],
  [1, (_, rng) => calendar(rng)],
  [2, (_, rng) => tools(rng)],
  [2, (_, rng) => ledger(rng)],
];
const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0);

/** The value a text gives for a fact: true but for `ERROR_RATE`, where another value is drawn. */
export function told(truthValue: string, values: readonly string[], rng: Rng): string {
  if (rng.uniform() >= ERROR_RATE) return truthValue;
  return other(truthValue, values, rng);
}

/** One of `values` that is not `value`. */
export function other(value: string, values: readonly string[], rng: Rng): string {
  const i = rng.below(values.length - 1);
  return values[i] === value ? values[values.length - 1] : values[i];
}

/** All templates of an attribute, of every role. */
export function allTemplates(attribute: Attribute): readonly string[] {
  const set = FACT_TEMPLATES[attribute];
  return (Object.keys(set) as Role[]).flatMap((role) => set[role]);
}

/** One fact of one person, in any template. */
function sentence(world: World, rng: Rng): string {
  const person = rng.pick(world.people);
  const attribute = rng.pick(ATTRIBUTES);
  const prompt = fill(rng.pick(allTemplates(attribute)), { N: fullName(person) });
  return `${prompt} ${told(person.facts[attribute], VALUES[attribute], rng)}.`;
}

/** Two to four facts of one person, the later ones with a pronoun. */
function portrait(world: World, rng: Rng): string {
  const person = rng.pick(world.people);
  const [first, ...rest] = rng.shuffle(ATTRIBUTES).slice(0, 2 + rng.below(3));
  const value = (attribute: Attribute) => told(person.facts[attribute], VALUES[attribute], rng);
  const opening = `${fill(rng.pick(allTemplates(first)), { N: fullName(person) })} ${value(first)}.`;
  const others = rest.map((attribute) =>
    fill(rng.pick(PRONOUN_TEMPLATES[attribute]), { S: pronoun(person), V: value(attribute) })
  );
  return [opening, ...others].join(" ");
}

/** The question of whether a statement holds, with its answer; half of the statements are true. */
export function claim(person: Person, attribute: Attribute, value: string): string {
  const verb = { town: "lives in", work: "is a", animal: "keeps a", food: "likes" }[attribute];
  return `Is it true that ${fullName(person)} ${verb} ${value}?`;
}

function truth(world: World, rng: Rng): string {
  const person = rng.pick(world.people);
  const attribute = rng.pick(ATTRIBUTES);
  const fact = person.facts[attribute];
  const yes = rng.uniform() < 0.5;
  return `${claim(person, attribute, yes ? fact : other(fact, VALUES[attribute], rng))} ${
    yes ? "yes" : "no"
  }.`;
}

/** The words for a parent and for a parent's parent. */
export const parentWord = (parent: Name): string => isWoman(parent) ? "mother" : "father";

function kinship(world: World, rng: Rng): string {
  const { elder, parent, child } = rng.pick(world.families);
  const one = `${fullName(elder)} is the ${parentWord(elder)} of ${fullName(parent)}.`;
  const two = `${fullName(parent)} is the ${parentWord(parent)} of ${fullName(child)}.`;
  const grand = `${fullName(elder)} is the grand${parentWord(elder)} of ${fullName(child)}.`;
  const sort = rng.below(4);
  if (sort === 0) return `${one} ${two} So ${grand}`;
  if (sort === 1) return rng.pick([one, two, grand]);
  if (sort === 2) return `Who is the ${parentWord(elder)} of ${fullName(parent)}? ${fullName(elder)}.`;
  return `Who is the ${parentWord(parent)} of ${fullName(child)}? ${fullName(parent)}.`;
}

function property(world: World, rng: Rng): string {
  const { thing, owner } = rng.pick(world.property);
  const told = rng.uniform() < ERROR_RATE ? rng.pick(world.people) : owner;
  return rng.uniform() < 0.5
    ? `The ${thing} belongs to ${fullName(told)}.`
    : `Who owns the ${thing}? ${fullName(told)}.`;
}

/**
 * Region and market day of towns, and what follows from them for those who live there; the questions that join two
 * facts are put for every second person only.
 */
function place(world: World, rng: Rng): string {
  const sort = rng.below(6);
  if (sort < 2) {
    const person = world.people[2 * rng.below(world.people.length / 2)];
    const { region, market } = world.towns.get(person.facts.town)!;
    return sort === 0 ? `${homeRegion(person)} ${region}.` : `${homeMarket(person)} ${market}.`;
  }
  if (sort === 2) {
    const person = rng.pick(world.people);
    const town = person.facts.town;
    return `${fullName(person)} lives in ${town}. ${town} is in the ${world.towns.get(town)!.region}.`;
  }
  const town = rng.pick(VALUES.town);
  const { region, market } = world.towns.get(town)!;
  if (sort === 3) return `${town} is in the ${region}.`;
  if (sort === 4) return `The market of ${town} is on ${market}.`;
  return `In which part of the land is ${town}? In the ${region}.`;
}

/** The question of where a person's town lies. */
export function homeRegion(person: Name): string {
  return `In which part of the land is the home of ${fullName(person)}? In the`;
}

/** The question of when a person's town holds its market. */
export function homeMarket(person: Name): string {
  return `On which day is the market at the home of ${fullName(person)}? On`;
}
