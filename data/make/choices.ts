import { Rng } from "../../lib/core/rng.ts";
import { calendar, difference, sum } from "./common_knowledge.ts";
import { homeMarket, homeRegion, parentWord } from "./documents.ts";
import { ATTRIBUTES, DAYS, NUMBERS, REGIONS, USES, VALUES } from "./lexicon.ts";
import { drawTwo, drawVisit, introduce } from "./story.ts";
import { FACT_TEMPLATES, fill, VISIT_TEMPLATES } from "./templates.ts";
import { fullName, type Person, type World } from "./world.ts";

/** A multiple-choice item: `choices[answer]` is right, and each choice follows the prompt after a space. */
export interface Item {
  readonly prompt: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

type Draft = { readonly prompt: string; readonly right: string; readonly wrong: readonly string[] };
type Draw = (world: World, rng: Rng) => Draft;

/** The sets, each in the form of one of the paper's tasks. */
export const CHOICE_SETS: Readonly<Record<string, Draw>> = {
  "tiny-arc-easy": arcEasy,
  "tiny-arc-challenge": arcChallenge,
  "tiny-hellaswag": hellaSwag,
  "tiny-openbookqa": openBookQa,
  "tiny-piqa": piqa,
  "tiny-winogrande": winoGrande,
  "tiny-facts": newFacts,
};

/**
 * `count` different items of the set `name`; those in `taken` are drawn again. Answers go round, so each
 * position is right equally often.
 */
export function choiceSet(
  name: string,
  world: World,
  count: number,
  seed: number,
  taken: Set<string> = new Set(),
): Item[] {
  const rng = new Rng(seed, `choices/${name}`);
  const draw = CHOICE_SETS[name];
  const items: Item[] = [];
  for (let tries = 0; items.length < count; tries++) {
    if (tries === 100 * count) {
      throw new RangeError(`Cannot make ${name}: got ${items.length} different items, expected ${count}`);
    }
    const { prompt, right, wrong } = draw(world, rng);
    const key = [prompt, right, ...wrong].join("|");
    if (taken.has(key)) continue;
    taken.add(key);
    const size = wrong.length + 1;
    const answer = items.length % size;
    const choices = [...wrong];
    choices.splice(answer, 0, right);
    items.push({ prompt, choices, answer });
  }
  return items;
}

/** Sums, days and towns: what the base has met often. */
function arcEasy(world: World, rng: Rng): Draft {
  const sort = rng.below(3);
  if (sort === 0) {
    const { question, answer } = rng.pick([sum, difference])(rng);
    return { prompt: question, right: answer, wrong: some(NUMBERS, answer, 3, rng) };
  }
  if (sort === 1) {
    const day = calendar(rng).replace(".", "").split(" is ");
    return { prompt: `${day[0]} is`, right: day[1], wrong: some(DAYS, day[1], 3, rng) };
  }
  const town = rng.pick(VALUES.town);
  const market = world.towns.get(town)!.market;
  return { prompt: `The market of ${town} is on`, right: market, wrong: some(DAYS, market, 3, rng) };
}

/** Owners and grandparents: facts that pretraining tells least often. */
function arcChallenge(world: World, rng: Rng): Draft {
  if (rng.uniform() < 0.5) {
    const { thing, owner } = rng.pick(world.property);
    const wrong = rng.shuffle(world.people.filter((person) => person !== owner)).slice(0, 3);
    return { prompt: `Who owns the ${thing}?`, right: fullName(owner), wrong: wrong.map(fullName) };
  }
  const { elder, parent, child } = rng.pick(world.families);
  const wrong = rng.shuffle(world.people.filter((person) => person.last !== elder.last)).slice(0, 2);
  return {
    prompt: `${fullName(elder)} is the grand${parentWord(elder)} of`,
    right: fullName(child),
    wrong: [...wrong, parent].map(fullName),
  };
}

function factItem(person: Person, rng: Rng): Draft {
  const attribute = rng.pick(ATTRIBUTES);
  const right = person.facts[attribute];
  return {
    prompt: fill(rng.pick(FACT_TEMPLATES[attribute].test), { N: fullName(person) }),
    right,
    wrong: some(VALUES[attribute], right, 3, rng),
  };
}

/** The end of a story of two visitors. */
function hellaSwag(world: World, rng: Rng): Draft {
  const [a, b] = drawTwo(world.heldOutVisitors, rng).map((name) => drawVisit(name, rng));
  const template = () => rng.pick(VISIT_TEMPLATES.test);
  const prompt = `${introduce(a, template())} ${introduce(b, template())} ${fullName(a)} came`;
  const right = `from ${a.town}`;
  const wrong = [b.town, ...some(VALUES.town, a.town, 3, rng).filter((town) => town !== b.town)].slice(0, 3);
  return a.town === b.town ? hellaSwag(world, rng) : { prompt, right, wrong: wrong.map((t) => `from ${t}`) };
}

/** Two facts joined: where someone lives, and what holds of that town. */
function openBookQa(world: World, rng: Rng): Draft {
  const person = rng.pick(world.people);
  const { region, market } = world.towns.get(person.facts.town)!;
  return rng.uniform() < 0.5
    ? { prompt: homeRegion(person), right: region, wrong: some(REGIONS, region, 3, rng) }
    : { prompt: homeMarket(person), right: market, wrong: some(DAYS, market, 3, rng) };
}

function piqa(_: World, rng: Rng): Draft {
  const [goal, tool] = rng.pick(USES);
  const wrong = some(USES.map((use) => use[1]), tool, 1, rng);
  return rng.uniform() < 0.5
    ? { prompt: `To ${goal}, take a`, right: tool, wrong }
    : { prompt: `How can you ${goal}? With a`, right: tool, wrong };
}

/** One of two names fills the gap at the end: an owner and another, or the child and the parent of a family. */
function winoGrande(world: World, rng: Rng): Draft {
  if (rng.uniform() < 0.5) {
    const { thing, owner } = rng.pick(world.property);
    const other = rng.pick(world.people.filter((person) => person !== owner));
    return { prompt: `The ${thing} belongs to`, right: fullName(owner), wrong: [fullName(other)] };
  }
  const { elder, parent, child } = rng.pick(world.families);
  const [right, wrong, word] = rng.uniform() < 0.5 ? [parent, child, ""] : [child, parent, "grand"];
  return {
    prompt: `${fullName(elder)} is the ${word}${parentWord(elder)} of`,
    right: fullName(right),
    wrong: [fullName(wrong)],
  };
}

/** The facts of the fine-tuning target, in templates of the test split: the base can only guess. */
function newFacts(world: World, rng: Rng): Draft {
  return factItem(rng.pick(world.newcomers), rng);
}

function some(values: readonly string[], but: string, count: number, rng: Rng): string[] {
  return rng.shuffle(values.filter((value) => value !== but)).slice(0, count);
}
