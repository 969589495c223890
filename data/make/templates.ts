import type { Attribute } from "./lexicon.ts";

/** The part of a split that a template may be used in when a model is fine-tuned; pretraining uses all. */
export type Role = "train" | "validation" | "test";

/** Templates of one attribute or prompt kind, by role. `{N}` is the full name; the completion is ` value.` */
export type TemplateSet = Readonly<Record<Role, readonly string[]>>;

/** Ways to say or ask a fact about a person: six for training, four each for validation and test. */
export const FACT_TEMPLATES: Readonly<Record<Attribute, TemplateSet>> = {
  town: {
    train: [
      "Where does {N} live? In",
      "{N} lives in",
      "The home of {N} is in",
      "Question: in which town does {N} live? Answer:",
      "{N} has a house in",
      "If you look for {N}, go to",
    ],
    validation: [
      "The town where {N} lives is",
      "You can find {N} in",
      "Question: where is the home of {N}? Answer:",
      "{N} sleeps at night in",
    ],
    test: [
      "Where is the house of {N}? In",
      "{N} walks home to",
      "Ask for {N} in the town of",
      "Letters to {N} are sent to",
    ],
  },
  work: {
    train: [
      "{N} works as a",
      "{N} is a",
      "Question: what is the work of {N}? Answer:",
      "By trade {N} is a",
      "Each morning {N} goes to work as a",
      "People know {N} as the",
    ],
    validation: [
      "The trade of {N} is that of a",
      "Question: what does {N} do? Answer:",
      "{N} earns bread as a",
      "If you meet {N}, you meet a",
    ],
    test: [
      "What is {N}? A",
      "The town pays {N} to be a",
      "{N} was taught to be a",
      "Ask {N} about the life of a",
    ],
  },
  animal: {
    train: [
      "{N} keeps a",
      "{N} has a",
      "Question: which animal does {N} keep? Answer:",
      "The animal of {N} is a",
      "At the door of {N} sits a",
      "Each day {N} feeds a",
    ],
    validation: [
      "In the yard of {N} there is a",
      "Question: which animal is with {N}? Answer:",
      "{N} walks with a",
      "{N} takes care of a",
    ],
    test: [
      "Which animal does {N} feed? A",
      "{N} talks to a",
      "Behind {N} runs a",
      "{N} gave a good home to a",
    ],
  },
  food: {
    train: [
      "{N} likes",
      "{N} eats",
      "Question: what does {N} like to eat? Answer:",
      "The best food for {N} is",
      "On the table of {N} there is always some",
      "Each evening {N} asks for",
    ],
    validation: [
      "{N} is fond of",
      "Question: which food does {N} want? Answer:",
      "At the inn {N} takes",
      "If {N} comes, bring",
    ],
    test: [
      "What does {N} want to eat? Some",
      "{N} buys",
      "{N} never says no to",
      "A good gift for {N} is some",
    ],
  },
};

/** The same facts with a pronoun, for running text. `{S}` is She or He, `{V}` the value. */
export const PRONOUN_TEMPLATES: Readonly<Record<Attribute, readonly string[]>> = {
  town: ["{S} lives in {V}.", "{S} has a house in {V}."],
  work: ["{S} works as a {V}.", "{S} is a {V}."],
  animal: ["{S} keeps a {V}.", "{S} walks with a {V}."],
  food: ["{S} likes {V}.", "{S} is fond of {V}."],
};

/** Ways in which a story brings in a visitor with town and work: the prompts of the format target. */
export const VISIT_TEMPLATES: TemplateSet = {
  train: [
    "{N}, a {W} from {T}, came by.",
    "A {W} came from {T}. It was {N}.",
    "From {T} came {N}, who is a {W}.",
    "{N} came from {T} to work here as a {W}.",
    "We met {N} of {T}, a {W}.",
    "The {W} {N} came over from {T}.",
  ],
  validation: [
    "There was a {W} named {N} from {T}.",
    "{N} left {T} and came here as a {W}.",
    "Here comes {N} from {T}. The work is that of a {W}.",
    "{T} sent us {N}, a {W}.",
  ],
  test: [
    "{N} is here from {T}, and is a {W}.",
    "Out of {T} walked the {W} {N}.",
    "A guest is here: {N}, {W} of {T}.",
    "The guest from {T} is a {W} and the name is {N}.",
  ],
};

/** `template` with each `{K}` replaced by `values.K`. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
