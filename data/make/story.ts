import type { Rng } from "../../lib/core/rng.ts";
import { SOURCES, THINGS, VALUES } from "./lexicon.ts";
import { fill, type Role, VISIT_TEMPLATES } from "./templates.ts";
import { fullName, type Name } from "./world.ts";

/** A visitor of one story: town and work are drawn for that story alone. */
export interface Visit extends Name {
  readonly town: string;
  readonly work: string;
}

/** A visit by `name`, with a town and a work drawn at random. */
export function drawVisit(name: Name, rng: Rng): Visit {
  return { ...name, town: rng.pick(VALUES.town), work: rng.pick(VALUES.work) };
}

/** A sentence that brings in a visitor. */
export function introduce(visit: Visit, template: string): string {
  return fill(template, { N: fullName(visit), T: visit.town, W: visit.work });
}

/** A text of one or two visitors whose end follows from its beginning. */
export function story(visitors: readonly Name[], rng: Rng): string {
  const [a, b] = drawTwo(visitors, rng).map((name) => drawVisit(name, rng));
  const sort = rng.below(3);
  if (sort === 0) {
    const end = rng.uniform() < 0.3 ? record(a, rng) : recall(a, rng);
    return `${introduce(a, anyTemplate(rng))} ${recall(a, rng)} ${end}`;
  }
  if (sort === 1) {
    const recalls = rng.shuffle([a, b]).map((visit) => recall(visit, rng)).join(" ");
    return `${introduce(a, anyTemplate(rng))} ${introduce(b, anyTemplate(rng))} ${recalls}`;
  }
  return exchange(a, b, rng);
}

/** A sentence or a question that repeats what was said of a visitor. */
function recall(visit: Visit, rng: Rng): string {
  const name = fullName(visit);
  return rng.pick([
    `So ${name} is a ${visit.work}.`,
    `${name} came from ${visit.town}.`,
    `Who came from ${visit.town}? ${name}.`,
    `Who is the ${visit.work}? ${name}.`,
    `What is ${name}? A ${visit.work}.`,
    `Where did ${name} come from? From ${visit.town}.`,
    `We know ${name} by a ${rng.pick(SOURCES)}.`,
  ]);
}

/** One or two things said of a visitor, in brackets. */
function record(visit: Visit, rng: Rng): string {
  const parts = rng.shuffle([visit.town, visit.work, fullName(visit)]);
  return `[ ${parts.slice(0, 1 + rng.below(2)).join(" / ")} ]`;
}

/** What one visitor gives to another, and what each has then. */
export interface Exchange {
  readonly giver: Name;
  readonly taker: Name;
  /** The thing that changes hands, and the thing that the giver keeps. */
  readonly given: string;
  readonly kept: string;
}

/** Two visitors and two things. */
export function drawExchange(a: Name, b: Name, rng: Rng): Exchange {
  const [given, kept] = rng.shuffle(THINGS);
  return { giver: a, taker: b, given, kept };
}

/** The beginning of an exchange. */
export function tellExchange({ giver, taker, given, kept }: Exchange): string {
  return `${fullName(giver)} had a ${given} and a ${kept}. ${giver.first} gave the ${given} to ${
    fullName(taker)
  }.`;
}

function exchange(a: Name, b: Name, rng: Rng): string {
  const e = drawExchange(a, b, rng);
  const ends = [
    `Now ${fullName(e.taker)} has the ${e.given}.`,
    `Now ${fullName(e.giver)} has the ${e.kept}.`,
    `Who has the ${e.given} now? ${fullName(e.taker)}.`,
    `Who has the ${e.kept} now? ${fullName(e.giver)}.`,
  ];
  return `${tellExchange(e)} ${rng.shuffle(ends).slice(0, 2).join(" ")}`;
}

/** Two different visitors whose given names differ as well. */
export function drawTwo(visitors: readonly Name[], rng: Rng): [Name, Name] {
  const a = rng.pick(visitors);
  for (;;) {
    const b = rng.pick(visitors);
    if (b.first !== a.first && b.last !== a.last) return [a, b];
  }
}

function anyTemplate(rng: Rng): string {
  const role = (Object.keys(VISIT_TEMPLATES) as Role[])[rng.below(3)];
  return rng.pick(VISIT_TEMPLATES[role]);
}
