import { areas, arrivals, commonHorizon, formatInterval, lossThresholds, THRESHOLDS } from "./convergence.ts";
import {
  isInterior,
  methodName,
  rateName,
  type RunGroup,
  type RunRow,
  runsAtBestRate,
  runsAtRate,
} from "./rows.ts";
import { type Interval, mean, meanInterval, pairedInterval } from "./statistics.ts";
import { wrapText } from "./svg_text.ts";
import { formatFixed, formatNumber } from "./table.ts";

/** What the runs say about one claim. */
export interface Verdict {
  /** The claim, as its author would put it. */
  readonly claim: string;
  /** Whether the 95 % interval lies on the claim's side, on the other side, or on both. */
  readonly outcome: "held" | "refuted" | "inconclusive";
  /** The figures behind the outcome, in words. */
  readonly sentence: string;
  /** The difference that decides, with its interval. */
  readonly effect: string;
}

/** Replication below which the verdicts are no more than an indication: pairs of runs, and pretrained bases. */
export const FIRM = { pairs: 10, bases: 3 } as const;

/** Share of full fine-tuning's loss by which OLoRA may be worse and still match it, fixed in advance. */
export const MATCH_MARGIN = 0.02;

/** Share by which two memory sizes may differ and still be the same. */
export const MEMORY_MARGIN = 0.01;

/** A pair of methods, run by run: run i of `a` and run i of `b` share base and seed. */
interface Pair {
  readonly a: RunGroup;
  readonly b: RunGroup;
}

/**
 * Verdicts on the claims about OLoRA, from runs paired by base, permutation and seed: a claim held if the 95 % interval
 * (`meanInterval`) of the paired difference lies wholly on its side, is refuted if wholly on the other side, and
 * inconclusive otherwise, with fewer than two pairs, or where a best rate lies at the edge of the rates tried.
 * Rates are chosen on the validation split; losses at the end are compared on the test split where it was measured.
 *
 * @param authorRate The learning rate of the author's example.
 * @param search Runs that the best rates are chosen by; for a firm verdict others than `rows`, which have fresh seeds.
 */
export function convergenceVerdicts(
  rows: readonly RunRow[],
  authorRate: number,
  search: readonly RunRow[] = rows,
): Verdict[] {
  const best = runsAtBestRate(rows, search);
  const author = runsAtRate(rows, authorRate);
  const own = "each method at its own best rate";
  const verdicts = [
    speedVerdict(`OLoRA converges faster than LoRA, ${own}`, best, search),
    speedVerdict(
      `OLoRA converges faster than LoRA, both at the author's rate ${rateName(authorRate)}`,
      author,
    ),
    differenceVerdict(`OLoRA ends lower than LoRA, ${own}`, best, "lora", lossAtEnd, search),
    matchVerdict(`OLoRA matches full fine-tuning, ${own}`, best, search),
    differenceVerdict(`OLoRA forgets less than LoRA, ${own}`, best, "lora", forgetting, search),
    differenceVerdict(`OLoRA forgets less than full fine-tuning, ${own}`, best, "full", forgetting, search),
    differenceVerdict(`OLoRA loses fewer tasks than LoRA, ${own}`, best, "lora", tasksLost, search),
    differenceVerdict(
      `OLoRA loses fewer tasks than full fine-tuning, ${own}`,
      best,
      "full",
      tasksLost,
      search,
    ),
    parameterVerdict(best),
    memoryVerdict(best),
  ];
  return verdicts.filter((verdict) => verdict !== undefined);
}

/** How far the runs at the best rates go towards a firm verdict: pairs of runs, bases, and what firm would take. */
export function replicationNote(rows: readonly RunRow[], search: readonly RunRow[] = rows): string {
  const both = pair(runsAtBestRate(rows, search), "lora");
  const pairs = both?.a.rows.length ?? 0;
  const bases = new Set(both?.a.rows.map(({ config }) => config.model)).size;
  const counted = `${pairs} pair${pairs === 1 ? "" : "s"} of runs on ${bases} base model${
    bases === 1 ? "" : "s"
  }`;
  const firm = pairs >= FIRM.pairs && bases >= FIRM.bases;
  return `Runs are paired by base and seed: ${counted}. ` +
    (firm ? "" : `That is an indication: a firm verdict takes ${FIRM.pairs} pairs on ${FIRM.bases} bases. `) +
    "A claim held, or is refuted, if the whole interval of the paired difference lies on one side.";
}

/** One figure of a run that two methods are compared by; lower is better. */
interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Why a difference in it decides nothing. */
  readonly illustrates?: string;
  read(row: RunRow): number;
}

const lossAtEnd: Measure = {
  name: "test loss at the end",
  unit: "nats",
  read: ({ final }) => final.test ?? final.validation ?? NaN,
};

const forgetting: Measure = {
  name: "loss gained on general text",
  unit: "nats",
  read: ({ final }) => final.forgetting ?? NaN,
};

const tasksLost: Measure = {
  name: "accuracy lost on tasks that the base could do",
  unit: "of all items",
  illustrates: "Accuracies illustrate: no interval holds what other items would say.",
  read: ({ final }) => final.tasksLost ?? NaN,
};

/** OLoRA and `other`, cut to the runs whose base, permutation and seed both have; undefined if a method is missing. */
function pair(groups: readonly RunGroup[], other: string): Pair | undefined {
  const [a, b] = ["olora", other].map((method) => groups.find((group) => group.method === method));
  if (!a || !b) return undefined;
  const key = ({ config: { model, permutation, seed } }: RunRow) => `${model}\n${permutation}\n${seed}`;
  const others = new Map(b.rows.map((row) => [key(row), row]));
  const shared = a.rows.filter((row) => others.has(key(row)));
  return { a: { ...a, rows: shared }, b: { ...b, rows: shared.map((row) => others.get(key(row))!) } };
}

function speedVerdict(
  claim: string,
  groups: readonly RunGroup[],
  grid?: readonly RunRow[],
): Verdict | undefined {
  const both = pair(groups, "lora");
  const thresholds = lossThresholds(groups);
  if (!both) return undefined;
  const last = THRESHOLDS.length - 1;
  if (!thresholds) {
    return {
      claim,
      outcome: "inconclusive",
      sentence: "LoRA itself did not improve, so nothing can be timed.",
      effect: "none",
    };
  }
  const horizon = commonHorizon(groups);
  const timed = [both.a, both.b].map((group) => arrivals(group, thresholds, last, horizon));
  const [a, b] = timed.map((list) => list.map(({ steps }) => steps));
  const difference = pairedInterval(a, b);
  const area = pairedInterval(areas(both.a, horizon), areas(both.b, horizon));
  const late = timed.map((list) => list.filter(({ censored }) => censored).length);
  const never = late.some(Boolean)
    ? ` Never arrived within ${formatNumber(horizon)} steps, and counted with that many: ${
      late[0]
    } of ${a.length} ` +
      `OLoRA runs, ${late[1]} of ${b.length} LoRA runs.`
    : "";
  const sentence =
    `${THRESHOLDS[last] * 100} % of LoRA's improvement after ${formatFixed(mean(a), 0)} steps ` +
    `(LoRA ${formatFixed(mean(b), 0)}): a difference of ${
      differenceText(difference, "steps")
    }; area under the curve ` +
    `${differenceText(area, "nats")}.${byBase(both, a.map((steps, i) => steps - b[i]), "steps", 0)}${never}` +
    learned(both);
  return judge(claim, difference, "steps", 0, sentence, both, grid);
}

function differenceVerdict(
  claim: string,
  groups: readonly RunGroup[],
  other: string,
  measure: Measure,
  grid: readonly RunRow[],
): Verdict | undefined {
  const both = pair(groups, other);
  if (!both || ![...both.a.rows, ...both.b.rows].every((row) => Number.isFinite(measure.read(row)))) {
    return undefined;
  }
  const [a, b] = [both.a, both.b].map(({ rows }) => rows.map(measure.read));
  const difference = pairedInterval(a, b);
  const sentence =
    `${capital(measure.name)} ${formatNumber(mean(a))} (${methodName(other)} ${formatNumber(mean(b))}): ` +
    `a difference of ${differenceText(difference, measure.unit)}.${
      byBase(both, a.map((loss, i) => loss - b[i]), measure.unit, 3)
    }`;
  const verdict = judge(claim, difference, measure.unit, 0, sentence + gained(both, measure), both, grid);
  const { illustrates } = measure;
  return illustrates
    ? { ...verdict, outcome: "inconclusive", sentence: `${verdict.sentence} ${illustrates}` }
    : verdict;
}

function matchVerdict(
  claim: string,
  groups: readonly RunGroup[],
  grid: readonly RunRow[],
): Verdict | undefined {
  const both = pair(groups, "full");
  if (!both || ![...both.a.rows, ...both.b.rows].every((row) => Number.isFinite(lossAtEnd.read(row)))) {
    return undefined;
  }
  const [a, b] = [both.a, both.b].map(({ rows }) => rows.map(lossAtEnd.read));
  const margin = MATCH_MARGIN * mean(b);
  const difference = pairedInterval(a, b);
  const sentence =
    `Test loss at the end ${formatNumber(mean(a))} (full fine-tuning ${formatNumber(mean(b))}): a ` +
    `difference of ${differenceText(difference, "nats")}; it counts as a match up to ${
      formatNumber(margin, 2)
    } nats ` +
    `(${MATCH_MARGIN * 100} %), fixed in advance.${byBase(both, a.map((loss, i) => loss - b[i]), "nats", 3)}`;
  return judge(claim, difference, lossAtEnd.unit, margin, sentence, both, grid);
}

function parameterVerdict(groups: readonly RunGroup[]): Verdict | undefined {
  const both = pair(groups, "lora");
  if (!both?.a.rows.length) return undefined;
  const [a, b] = [both.a, both.b].map(({ rows }) => rows[0].trainable);
  return {
    claim: "OLoRA trains as many parameters as LoRA",
    outcome: a === b ? "held" : "refuted",
    sentence: `${formatNumber(a)} trained parameters (LoRA ${formatNumber(b)}), counted exactly.`,
    effect: `${a > b ? "+" : ""}${formatNumber(a - b)} parameters`,
  };
}

function memoryVerdict(groups: readonly RunGroup[]): Verdict | undefined {
  const both = pair(groups, "lora");
  if (!both?.a.rows.length) return undefined;
  const [a, b] = [both.a, both.b].map(({ rows }) => mean(rows.map(({ deviceBytes }) => deviceBytes)));
  const more = `${formatFixed(100 * (a / b - 1), 2)} %`;
  const megabytes = (bytes: number) => `${formatNumber(bytes / 1e6)} MB`;
  return {
    claim: "OLoRA needs as much device memory as LoRA",
    outcome: a <= (1 + MEMORY_MARGIN) * b ? "held" : "refuted",
    sentence: `${megabytes(a)} at the peak (LoRA ${megabytes(b)}), a difference of ${more}; up to ${
      MEMORY_MARGIN * 100
    } % more counts as the same. The kit keeps B₀ and A₀ beside the base; the paper changes the base and keeps neither.`,
    effect: `${a > b ? "+" : ""}${more}`,
  };
}

/** The verdict that a difference (lower is better for the claim) is below `bound`. */
function judge(
  claim: string,
  difference: Interval,
  unit: string,
  bound: number,
  sentence: string,
  { a, b }: Pair,
  grid?: readonly RunRow[],
): Verdict {
  const edges = grid
    ? [a, b].filter((group) => !isInterior(group, grid)).map(({ method }) => methodName(method))
    : [];
  const decided = difference.high < bound ? "held" : difference.low > bound ? "refuted" : "inconclusive";
  const why = edges.length
    ? ` Inconclusive because the best rate has no two tried rates on either side: ${edges.join(", ")}.`
    : "";
  return {
    claim,
    outcome: edges.length ? "inconclusive" : decided,
    sentence: sentence + why,
    effect: differenceText(difference, unit),
  };
}

/**
 * Mean difference on each base where there are several, and the interval with each base as one value: runs on one base are
 * not independent of each other, so this one says how far a difference goes beyond the bases at hand.
 */
function byBase({ a }: Pair, differences: readonly number[], unit: string, decimals: number): string {
  const bases = Map.groupBy(differences.keys(), (i) => a.rows[i].config.model);
  if (bases.size < 2) return "";
  const means = [...bases].sort().map(([base, own]): [string | undefined, number] => [
    base,
    mean(own.map((i) => differences[i])),
  ]);
  const cells = means.map(([base, value]) =>
    `${base} ${value > 0 ? "+" : ""}${formatFixed(value, decimals)}`
  );
  const together = meanInterval(means.map(([, value]) => value));
  return ` By base: ${cells.join(", ")}; each base as one value ${
    differenceText(together, unit, { of: "bases" })
  }.`;
}

/** What was gained for what `measure` says was paid; a price alone says little where that differs. */
function gained({ a, b }: Pair, measure: Measure): string {
  if (measure === lossAtEnd) return "";
  const [own, other] = [a, b].map(({ rows }) => mean(rows.map(lossAtEnd.read)));
  return Number.isFinite(own) && Number.isFinite(other)
    ? ` Paid for test losses of ${formatNumber(own)} and ${formatNumber(other)}.`
    : "";
}

/** How much of the task was learned by the end, where that was measured: a threshold may lie before any of it. */
function learned({ a, b }: Pair): string {
  const [own, other] = [a, b].map(({ rows }) => mean(rows.map(({ final }) => final.accuracy ?? NaN)));
  return Number.isFinite(own) && Number.isFinite(other)
    ? ` Answers right at the end: ${formatFixed(100 * own, 0)} % (LoRA ${formatFixed(100 * other, 0)} %).`
    : "";
}

/** What `differenceText` calls an interval. */
export interface IntervalWords {
  /** What it is over; default pairs. */
  readonly of?: string;
  /** Its confidence; default 95 %. */
  readonly confidence?: string;
}

/** A difference with its interval, `+1.2 nats (95 % interval 0.4 to 2.0, 30 pairs)`. */
export function differenceText(difference: Interval, unit: string, words: IntervalWords = {}): string {
  const { of = "pairs", confidence = "95 %" } = words;
  const sign = difference.mean > 0 ? "+" : "";
  if (difference.n === 1) return `${sign}${formatNumber(difference.mean, 3)} ${unit} (one pair, no interval)`;
  const text = formatInterval(difference).split(" ± ");
  if (text.length < 2) return `${sign}${text[0]} ${unit}`;
  const decimals = text[0].split(".")[1]?.length ?? 0;
  const [low, high] = [difference.low, difference.high].map((x) => formatFixed(x, decimals));
  return `${sign}${text[0]} ${unit} (${confidence} interval ${low} to ${high}, ${difference.n} ${of})`;
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

/** The verdicts for a terminal: outcome, claim and figures, wrapped at `columns` places. */
export function textVerdicts(verdicts: readonly Verdict[], columns = 80): string {
  const margin = " ".repeat(14);
  const lines = (text: string) => wrapText(text, columns - margin.length, (line) => line.length);
  return verdicts.map(({ claim, outcome, sentence }) =>
    [...lines(claim), ...lines(sentence)].map((line, i) =>
      (i ? margin : outcome.padEnd(margin.length)) + line
    ).join("\n")
  ).join("\n\n");
}
