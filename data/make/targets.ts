import { Rng } from "../../lib/core/rng.ts";
import { apply } from "./common_knowledge.ts";
import { ATTRIBUTES, SOURCES, VALUES } from "./lexicon.ts";
import { drawVisit, introduce } from "./story.ts";
import { FACT_TEMPLATES, fill, type Role, VISIT_TEMPLATES } from "./templates.ts";
import { fullName, type Name, type World } from "./world.ts";

/** A row of a fine-tuning file. */
export interface Row {
  readonly prompt: string;
  readonly completion: string;
}

/**
 * Rows of one split and the information in their completions, in nats a row: `entropy`, which no knowledge removes,
 * and `content`, which the prompt's knowledge (the facts, or what the prompt says) removes. A predictor that knows
 * all loses `entropy`; one that knows the form and how often each value occurs, and no more, loses both.
 */
export interface Target {
  readonly rows: readonly Row[];
  readonly entropy: number;
  readonly content: number;
}

/**
 * New facts: four attributes of each newcomer, told in the templates of `role`. All splits tell the same facts; no
 * template is in two. A completion is the value alone, so it carries ln 16 nats: each value of an attribute is used
 * by equally many newcomers.
 */
export function factTarget(world: World, role: Role, seed: number): Target {
  const rows = world.newcomers.flatMap((person) =>
    ATTRIBUTES.flatMap((attribute) =>
      FACT_TEMPLATES[attribute][role].map((template) => ({
        prompt: fill(template, { N: fullName(person) }),
        completion: ` ${person.facts[attribute]}.`,
      }))
    )
  );
  return {
    rows: new Rng(seed, `facts/${role}`).shuffle(rows),
    entropy: 0,
    content: Math.log(VALUES.town.length),
  };
}

/**
 * Format alone: a visit told in a sentence is written as a record, ` [ town / work / first last / source ]`. The
 * first three parts stand in the prompt; the source is drawn at random and cannot be known. Visitors, towns and
 * works are drawn afresh for each row, from `visitors`; the templates are those of `role`.
 */
export function formatTarget(visitors: readonly Name[], role: Role, count: number, seed: number): Target {
  const rng = new Rng(seed, `format/${role}`);
  const rows = Array.from({ length: count }, () => {
    const visit = drawVisit(rng.pick(visitors), rng);
    const prompt = introduce(visit, rng.pick(VISIT_TEMPLATES[role]));
    const source = rng.pick(SOURCES);
    return {
      prompt,
      completion: ` [ ${visit.town} / ${visit.work} / ${fullName(visit)} / ${source} ]`,
    };
  });
  return {
    rows,
    entropy: Math.log(SOURCES.length),
    content: Math.log(VALUES.town.length) + Math.log(VALUES.work.length) + Math.log(visitors.length),
  };
}

/** Rows of the far domain, and the mean nats a row of their generator. */
export interface FarDomain {
  readonly rows: readonly { readonly text: string }[];
  readonly entropy: number;
}

/**
 * The far domain: postfix terms over single digits with `+ - *`, ended by ` = ` and their value modulo ten, as in
 * `3 4 + 2 * = 4`. With one number on the stack a term ends with probability 1/4 (once it has an operator); else,
 * with two or more, an operator follows with probability 1/2 (always, with four); else a digit follows. The text
 * shows every choice, so its entropy is the sum of -ln p over the choices made; the value adds nothing.
 */
export function farDomain(role: Role, count: number, seed: number, taken: Set<string>): FarDomain {
  const rng = new Rng(seed, `far/${role}`);
  const rows: { text: string }[] = [];
  let nats = 0;
  while (rows.length < count) {
    const term = postfixTerm(rng);
    if (taken.has(term.text)) continue;
    taken.add(term.text);
    rows.push({ text: term.text });
    nats += term.nats;
  }
  return { rows, entropy: nats / count };
}

function postfixTerm(rng: Rng): { text: string; nats: number } {
  const signs: string[] = [];
  const stack: number[] = [];
  let nats = 0;
  const chance = (p: number): boolean => {
    const yes = rng.uniform() < p;
    if (p > 0 && p < 1) nats -= Math.log(yes ? p : 1 - p);
    return yes;
  };
  for (;;) {
    if (stack.length === 1 && signs.length > 1 && chance(0.25)) break;
    const reduce = stack.length >= 2 && chance(stack.length === 4 ? 1 : 0.5);
    if (reduce) {
      const sign = rng.pick(["+", "-", "*"]);
      nats += Math.log(3);
      const b = stack.pop()!;
      const a = stack.pop()!;
      stack.push(apply(a, b, sign));
      signs.push(sign);
    } else {
      const digit = rng.below(10);
      nats += Math.log(10);
      stack.push(digit);
      signs.push(String(digit));
    }
  }
  return { text: `${signs.join(" ")} = ${stack[0]}`, nats };
}
