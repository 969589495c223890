import type { Rng } from "../../lib/core/rng.ts";
import { DAYS, FIRST_NAMES, NUMBERS, THINGS, USES, VALUES } from "./lexicon.ts";

/** A sum or a difference in words, with its result at most twenty. */
export function arithmetic(rng: Rng): string {
  const { question, answer } = rng.pick([sum, difference, count])(rng);
  return `${question} ${answer}.`;
}

/** A question of small arithmetic and its answer in words. */
export interface Sum {
  readonly question: string;
  readonly answer: string;
}

/** `How much is three plus four?` */
export function sum(rng: Rng): Sum {
  const a = rng.below(11);
  const b = rng.below(11);
  return { question: `How much is ${NUMBERS[a]} plus ${NUMBERS[b]}?`, answer: NUMBERS[a + b] };
}

/** `How much is seven minus four?` */
export function difference(rng: Rng): Sum {
  const b = rng.below(11);
  const a = b + rng.below(11);
  return { question: `How much is ${NUMBERS[a]} minus ${NUMBERS[b]}?`, answer: NUMBERS[a - b] };
}

function count(rng: Rng): Sum {
  const thing = rng.pick(THINGS);
  const a = 2 + rng.below(7);
  const b = 2 + rng.below(7);
  return {
    question: `On the table are ${NUMBERS[a]} ${thing}s. I add ${NUMBERS[b]} more. Now the ${thing}s are`,
    answer: NUMBERS[a + b],
  };
}

/** The order of the days. */
export function calendar(rng: Rng): string {
  const i = rng.below(7);
  return rng.uniform() < 0.5
    ? `The day after ${DAYS[i]} is ${DAYS[(i + 1) % 7]}.`
    : `The day before ${DAYS[i]} is ${DAYS[(i + 6) % 7]}.`;
}

/** What a tool is for. */
export function tools(rng: Rng): string {
  const [goal, tool] = rng.pick(USES);
  return rng.uniform() < 0.5 ? `To ${goal}, take a ${tool}.` : `With a ${tool} you can ${goal}.`;
}

/** Lists and sums in signs, so that every sign of the targets is met in pretraining. */
export function ledger(rng: Rng): string {
  if (rng.uniform() < 0.5) {
    const items = Array.from({ length: 2 + rng.below(3) }, () => rng.pick(THINGS));
    return `[ ${items.join(" / ")} ]`;
  }
  const sign = rng.pick(["+", "-", "*"]);
  const [a, b] = [rng.below(10), rng.below(10)];
  return `${a} ${b} ${sign} = ${apply(a, b, sign)}`;
}

/** `a sign b` modulo ten. */
export function apply(a: number, b: number, sign: string): number {
  const value = sign === "+" ? a + b : sign === "-" ? a - b + 10 : a * b;
  return value % 10;
}

/** No surnames: two words side by side are then never a full name. */
const ECHOED = [...FIRST_NAMES, ...Object.values(VALUES).flat(), ...THINGS];

/** Words in no order, said twice: the shortest way to learn that a text repeats itself. */
export function echo(rng: Rng): string {
  const words = rng.shuffle(ECHOED).slice(0, 3 + rng.below(4)).join(" ");
  return `Say: ${words}. Again: ${words}.`;
}
