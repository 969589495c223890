import { type Interval, mean, meanInterval, pairedInterval } from "./statistics.ts";
import { methodName } from "./rows.ts";
import { formatFixed } from "./table.ts";
import type { Verdict } from "./verdicts.ts";

/** What a quantised base and a start leave of the weights of one base, as `quantizationErrors` measures it. */
export interface QuantizationRow {
  /** What the linear layers are quantised to. */
  readonly dtype: string;
  /** "none" for plain quantisation, else the method that makes the factors. */
  readonly start: string;
  /** Rank r of the factors; 0 for "none". */
  readonly rank: number;
  /** Nuclear norm of W − W̃ over that of plain quantisation, dimensionless. */
  readonly relativeNuclear: number;
  /** Mean loss before any training, nats per token. */
  readonly loss: number;
}

/** The rows of one base. */
export interface QuantizedBase {
  /** Mean loss of the base as it is, on the same text, nats per token. */
  readonly unquantizedLoss: number;
  /** Its rows. */
  readonly rows: readonly QuantizationRow[];
}

/** What the verdicts are on. */
export interface QuantizationChoice {
  /** Format; default "nf4", QLoRA's. */
  dtype?: string;
  /** Rank; default 8, PEFT's. */
  rank?: number;
}

/** The factor in nuclear norm by which PEFT's tests of OLoRA on quantised models ask for less loss than plain quantisation. */
export const PEFT_FACTOR = 1.2;

/**
 * Whether OLoRA's start, in the residual form, helps a quantised base before any training: what of the weights is lost
 * against plain quantisation, PEFT's factor, PiSSA and LoftQ at the same rank, and the loss against plain quantisation.
 * Paired by base: a claim held if the 95 % interval (`meanInterval`) of the difference lies wholly on its side, is
 * refuted if wholly on the other side, and is inconclusive otherwise or with fewer than two bases.
 *
 * Source of the measure: PEFT's tests of OLoRA on quantised models (nuclear norm).
 *
 * @throws {RangeError} If a base has no row of a start at that format and rank.
 */
export function quantizationVerdicts(
  bases: readonly QuantizedBase[],
  { dtype = "nf4", rank = 8 }: QuantizationChoice = {},
): Verdict[] {
  const rowsOf = (start: string) => bases.map((base) => rowOf(base, dtype, start, rank));
  const nuclear = (start: string) => rowsOf(start).map(({ relativeNuclear }) => relativeNuclear);
  const loss = (start: string) => rowsOf(start).map(({ loss }) => loss);
  const format = dtype === "nf4" ? "NF4" : dtype;
  const start = `OLoRA's start, ${format}, rank ${rank}`;
  const olora = nuclear("olora");
  const own = meanInterval(olora);
  const factor = 1 / PEFT_FACTOR;
  const ratio = `${formatFixed(own.mean, 3)} of plain ${format} (${ends(own, 3)})`;
  const share = `Nuclear norm of what is lost, over that of plain ${format}: ${formatFixed(own.mean, 3)}`;
  const beside = (other: string): Verdict => {
    const name = other === "loftq" ? "LoftQ" : methodName(other);
    const difference = pairedInterval(olora, nuclear(other));
    return {
      claim: `${start}, loses less of the weights than ${name}'s`,
      outcome: outcome(difference, 0),
      sentence: `${share} (${name} ${formatFixed(mean(nuclear(other)), 3)}): a difference of ${
        apart(difference, 3)
      }.`,
      effect: apart(difference, 3),
    };
  };
  const lower = pairedInterval(loss("olora"), loss("none"));
  return [
    {
      claim: `${start}, loses less of the weights than plain quantisation`,
      outcome: outcome(own, 1),
      sentence: `${share} (${ends(own, 3)}).`,
      effect: ratio,
    },
    {
      claim: `${start}, loses less by PEFT's factor of ${PEFT_FACTOR}`,
      outcome: outcome(own, factor),
      sentence: `${share} (${ends(own, 3)}); the factor asks for ${formatFixed(factor, 3)}.`,
      effect: ratio,
    },
    beside("pissa"),
    beside("loftq"),
    {
      claim: `${start}, has a lower loss than plain quantisation`,
      outcome: outcome(lower, 0),
      sentence: `Loss before training ${formatFixed(mean(loss("olora")), 5)} (plain ${format} ${
        formatFixed(mean(loss("none")), 5)
      }, unquantised ${
        formatFixed(mean(bases.map(({ unquantizedLoss }) => unquantizedLoss)), 5)
      }): ${`a difference of ${apart(lower, 5, " nats")}`}.`,
      effect: apart(lower, 5, " nats"),
    },
  ];
}

function rowOf({ rows }: QuantizedBase, dtype: string, start: string, rank: number): QuantizationRow {
  const wanted = start === "none" ? 0 : rank;
  const found = rows.find((row) => row.dtype === dtype && row.start === start && row.rank === wanted);
  if (found) return found;
  const known = rows.map(({ dtype, start, rank }) => `${dtype} ${start} ${rank}`).join(", ") || "no rows";
  throw new RangeError(
    `Cannot judge ${dtype} ${start} of rank ${wanted}: found ${known}, expected a row of it`,
  );
}

function outcome({ low, high }: Interval, bound: number): Verdict["outcome"] {
  return high < bound ? "held" : low > bound ? "refuted" : "inconclusive";
}

function apart(difference: Interval, decimals: number, unit = ""): string {
  const sign = difference.mean > 0 ? "+" : "";
  return `${sign}${formatFixed(difference.mean, decimals)}${unit} (${ends(difference, decimals)})`;
}

function ends({ low, high, n }: Interval, decimals: number): string {
  const bases = `${n} base${n === 1 ? "" : "s"}`;
  if (n < 2) return bases;
  return `95 % interval ${formatFixed(low, decimals)} to ${formatFixed(high, decimals)}, ${bases}`;
}
