import type { RunRow } from "./rows.ts";
import { equivalence, type Interval, mean, pairedInterval } from "./statistics.ts";
import { formatNumber } from "./table.ts";
import { differenceText, FIRM, MATCH_MARGIN, type Verdict } from "./verdicts.ts";

/** The test losses of two settings, run by run: run i of both shares base, permutation and seed. */
export interface Contrast {
  /** Mean of the first setting, nats per token. */
  readonly first: number;
  /** Mean of the second setting, nats per token. */
  readonly second: number;
  /** First minus second, nats per token: mean and 95 % interval. */
  readonly difference: Interval;
  /** Difference that still counts as none, nats per token: 2 % of the second's mean, fixed in advance. */
  readonly margin: number;
  /** Two one-sided tests at 5 % show that the difference is smaller than the margin. */
  readonly isEquivalent: boolean;
  /** Number of bases that the pairs are of. */
  readonly bases: number;
}

/**
 * What a claim may say of the first setting against the second: it ends lower, higher, as low (no more than the margin
 * higher), or the same (no more than the margin away on either side).
 */
export type Relation = "lower" | "higher" | "as low" | "the same";

/** Runs of two settings that share base, permutation and seed. */
export function pairRuns(first: readonly RunRow[], second: readonly RunRow[]): [RunRow, RunRow][] {
  const others = new Map(second.map((row) => [replicate(row), row]));
  return first.flatMap((row): [RunRow, RunRow][] => {
    const other = others.get(replicate(row));
    return other ? [[row, other]] : [];
  });
}

/** The first of each pair against the second; undefined without a pair. */
export function contrastPairs(pairs: readonly (readonly [RunRow, RunRow])[]): Contrast | undefined {
  if (!pairs.length) return undefined;
  const [a, b] = [0, 1].map((i) => pairs.map((pair) => testLoss(pair[i])));
  const margin = MATCH_MARGIN * mean(b);
  return {
    first: mean(a),
    second: mean(b),
    difference: pairedInterval(a, b),
    margin,
    isEquivalent: margin > 0 && equivalence(a.map((x, i) => x - b[i]), margin).equivalent,
    bases: new Set(pairs.map(([{ config }]) => config.model)).size,
  };
}

/** What makes two runs of different settings a pair: base, permutation and seed. */
export function replicate({ config: { model, permutation, seed } }: RunRow): string {
  return `${model}\n${permutation}\n${seed}`;
}

/** Test loss at the end of a run, nats per token; NaN if it diverged or was not measured. */
export function testLoss({ diverged, final }: RunRow): number {
  return diverged ? NaN : final.test ?? NaN;
}

/** Whether the interval shows the relation, its opposite, or neither, as with fewer than two pairs. */
export function judgeContrast(contrast: Contrast, relation: Relation): Verdict["outcome"] {
  const { difference: { low, high }, margin, isEquivalent } = contrast;
  if (relation === "the same") {
    return isEquivalent ? "held" : low > margin || high < -margin ? "refuted" : "inconclusive";
  }
  const bound = relation === "as low" ? margin : 0;
  const [below, above] = [high < bound, low > bound];
  const [held, failed] = relation === "higher" ? [above, below] : [below, above];
  return held ? "held" : failed ? "refuted" : "inconclusive";
}

/** `Test loss 0.11 (LoRA: 0.09): a difference of +0.02 nats (95 % interval …)`, and the margin where it decides. */
export function describeContrast(contrast: Contrast, second: string, relation: Relation): string {
  const losses = `Test loss ${formatNumber(contrast.first)} (${second}: ${formatNumber(contrast.second)})`;
  const margin = `${formatNumber(contrast.margin, 2)} nats (${100 * MATCH_MARGIN} %, fixed in advance)`;
  const counts = relation === "as low"
    ? `; up to ${margin} more counts as the same`
    : relation === "the same"
    ? `; less than ${margin} either way counts as the same`
    : "";
  return `${losses}: a difference of ${differenceText(contrast.difference, "nats")}${counts}.${
    indicationNote(contrast)
  }`;
}

/** That the pairs are too few for more than an indication; empty where they are enough. */
export function indicationNote({ difference: { n }, bases }: Pick<Contrast, "difference" | "bases">): string {
  if (n >= FIRM.pairs && bases >= FIRM.bases) return "";
  const pairs = n === 1 ? "one seed" : `${n} pairs`;
  return ` An indication: ${pairs} on ${bases === 1 ? "one base" : `${bases} bases`}.`;
}
