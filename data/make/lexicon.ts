/**
 * The words of the small world. They are common English words and invented names, short so that most become one
 * token; nothing is taken from any corpus.
 */

/** Given names; the first half are women's, the second half men's, and a pronoun follows from that. */
export const FIRST_NAMES: readonly string[] = words(
  `Ada Bela Cora Dina Edda Fia Gerda Hanna Ida Jana Kara Lena Mira Nora Olga Rosa
   Abel Boris Carl Dan Emil Fred Gus Hugo Ivan Jack Karl Leo Max Nils Otto Paul`,
);

/** Family names. */
export const SURNAMES: readonly string[] = words(
  `Arlo Bell Crane Dale Eland Frost Gray Hart Irons Jolly Keen Lund Moss Nash Orr Pike
   Quill Reed Stone Thorn Ulm Voss Webb Yates Zorn Birch Clay Drake Finch Holt Marsh Park`,
);

/** What can be said of a person; every attribute has sixteen values, so each carries exactly four bits. */
export const VALUES = {
  town: words("Tarn Brook Marl Fenby Crail Dunmore Wick Selby Harrow Lorne Pell Stow Kirk Venn Lyme Rook"),
  work: words(
    "baker miller tailor farmer sailor weaver potter smith hunter teacher doctor painter singer cook mason fisher",
  ),
  animal: words("goat cat dog hen duck pig cow horse fox crow mouse toad lamb swan rabbit hawk"),
  food: words("plums bread cheese fish soup pears nuts rice beans cake honey milk eggs corn tea jam"),
} as const;

/** Name of an attribute. */
export type Attribute = keyof typeof VALUES;

/** All attributes, in a fixed order. */
export const ATTRIBUTES: readonly Attribute[] = ["town", "work", "animal", "food"];

/** Colours and things: a coloured thing belongs to one person. */
export const COLOURS: readonly string[] = words("red blue green black white brown");
/** Things that are given, carried and owned. */
export const THINGS: readonly string[] = words("cup boat hat lamp book coat ring key drum kite chair bag");

/** Days of the week in order. */
export const DAYS: readonly string[] = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday");

/** Parts of the land. */
export const REGIONS: readonly string[] = words("north south east west");

/** Number words from zero to twenty. */
export const NUMBERS: readonly string[] = words(
  `zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
   seventeen eighteen nineteen twenty`,
);

/** Ways in which a visit became known: drawn at random, so nothing predicts them. */
export const SOURCES: readonly string[] = words("talk letter song note");

/** What to do, and the tool it is done with. */
export const USES: readonly (readonly [string, string])[] = [
  ["cut bread", "knife"],
  ["catch fish", "net"],
  ["drive a nail", "hammer"],
  ["sew a shirt", "needle"],
  ["sweep the floor", "broom"],
  ["dig a hole", "spade"],
  ["see at night", "candle"],
  ["climb the wall", "ladder"],
  ["tie the boat", "rope"],
  ["write a letter", "pen"],
  ["carry water", "bucket"],
  ["open the door", "handle"],
];

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
