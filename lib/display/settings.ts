import {
  type Contrast,
  contrastPairs,
  describeContrast,
  judgeContrast,
  pairRuns,
  type Relation,
  replicate,
} from "./contrast.ts";
import {
  bestGroup,
  groupRuns,
  isInterior,
  methodName,
  type RunGroup,
  type RunRow,
  settingKey,
} from "./rows.ts";
import { differenceText, type Verdict } from "./verdicts.ts";

/** A method with all its settings, its rank among them, at one learning rate. */
export interface Setting {
  /** `methodKey` of the runs. */
  readonly method: string;
  /** Rank of the adapters; undefined where there are none, as in full fine-tuning. */
  readonly rank: number | undefined;
  /** Learning rate of the runs. */
  readonly rate: number;
  /** The rate was given, or chosen with two tried rates on either side of it: no edge of a grid. */
  readonly counts: boolean;
  /** The runs at that rate among those that it was chosen by. */
  readonly search: readonly RunRow[];
  /** Runs at that rate with other seeds, made after it was chosen. */
  readonly fresh: readonly RunRow[];
}

/**
 * Each method, with its settings, of `search` at its best rate (`bestGroup`); those whose every rate diverged are left out.
 * A base, permutation and seed that comes twice counts once, the first time.
 *
 * @param fresh Runs with other seeds at those rates, if any were made.
 */
export function bestSettings(search: readonly RunRow[], fresh: readonly RunRow[] = []): Setting[] {
  const later = settingGroups(fresh);
  return settingGroups(search).flatMap(({ key, rank, groups, rows }) => {
    const best = bestGroup(groups);
    if (!best) return [];
    const own = later.find((other) => other.key === key);
    return [{
      method: best.method,
      rank,
      rate: best.rate,
      counts: isInterior(best, rows),
      search: best.rows,
      fresh: own?.groups.find(({ rate }) => rate === best.rate)?.rows ?? [],
    }];
  });
}

/** Each method, with its settings, that was run at `rate`. */
export function settingsAtRate(rows: readonly RunRow[], rate: number): Setting[] {
  return settingGroups(rows.filter(({ config }) => config.learningRate === rate)).map(({ rank, groups }) => ({
    method: groups[0].method,
    rank,
    rate,
    counts: true,
    search: groups[0].rows,
    fresh: [],
  }));
}

/** The runs that speak for a setting: those with fresh seeds where there are any. */
export function settingRuns({ search, fresh }: Setting): readonly RunRow[] {
  return fresh.length ? fresh : search;
}

/** The runs of both that pair: those with fresh seeds where both have some, else those that the rates were chosen by. */
export function pairSettings(first: Setting, second: Setting): [RunRow, RunRow][] {
  const fresh = pairRuns(first.fresh, second.fresh);
  return fresh.length ? fresh : pairRuns(first.search, second.search);
}

/** `first` against `second` on the pairs of `pairSettings`; undefined where there are none. */
export function contrastSettings(first: Setting, second: Setting): Contrast | undefined {
  return contrastPairs(pairSettings(first, second));
}

/** Where to find a setting: `methodKey` and rank. */
export interface SettingPlace {
  /** `methodKey` of its runs. */
  readonly method: string;
  /** Its rank; undefined for full fine-tuning. */
  readonly rank?: number;
}

/** The setting of `method` at `rank`; undefined where it was not run. */
export function findSetting(
  settings: readonly Setting[],
  { method, rank }: SettingPlace,
): Setting | undefined {
  return settings.find((setting) => setting.method === method && setting.rank === rank);
}

/**
 * The verdict that `first` ends in `relation` to `second`, by the test loss: inconclusive where one was not run, where they share
 * no base and seed, and where a best rate lies at the edge of the rates tried.
 *
 * @param name What the sentence calls the second setting.
 */
export function settingVerdict(
  claim: string,
  settings: readonly Setting[],
  [first, second]: readonly [SettingPlace, SettingPlace],
  relation: Relation,
  name = methodName(second.method),
): Verdict {
  const [a, b] = [first, second].map((place) => findSetting(settings, place));
  const contrast = a && b && contrastSettings(a, b);
  if (!contrast) {
    const missing = [!a && first, !b && second].filter((place) => place !== false && place !== undefined);
    const names = missing.map(({ method, rank }) => methodName(method) + (rank ? ` at rank ${rank}` : ""));
    return notMeasured(claim, names.length ? names.join("; ") : "a base and seed that both have");
  }
  const edges = edgeNote([a, b]);
  return {
    claim,
    outcome: edges ? "inconclusive" : judgeContrast(contrast, relation),
    sentence: [describeContrast(contrast, name, relation), edges].filter(Boolean).join(" "),
    effect: differenceText(contrast.difference, "nats"),
  };
}

/** The verdict on what no run has measured. */
export function notMeasured(claim: string, what: string): Verdict {
  return {
    claim,
    outcome: "inconclusive",
    sentence: `Not measured yet: ${what}.`,
    effect: "not measured yet",
  };
}

/** Whose best rates lie at the edge of the rates tried, which leaves a verdict inconclusive; empty if no one's. */
export function edgeNote(settings: readonly (Setting | undefined)[]): string {
  const edges = settings.filter((setting) => setting?.counts === false).map((setting) =>
    methodName(setting!.method)
  );
  return edges.length
    ? `Inconclusive because the best rate has no two tried rates on either side: ${edges.join("; ")}.`
    : "";
}

interface SettingGroups {
  /** `settingKey` of the runs. */
  readonly key: string;
  readonly rank: number | undefined;
  /** By ascending rate. */
  readonly groups: readonly RunGroup[];
  readonly rows: readonly RunRow[];
}

function settingGroups(rows: readonly RunRow[]): SettingGroups[] {
  const byRank = [...Map.groupBy(distinctRuns(rows), rankOf)];
  return byRank.flatMap(([rank, rows]) =>
    [...Map.groupBy(groupRuns(rows), ({ rows: [{ config }] }) => settingKey(config))].map((
      [key, groups],
    ) => ({
      ...{ key, rank, groups },
      rows: groups.flatMap((group) => group.rows),
    }))
  );
}

/** The rows without those of a setting, rate, base, permutation and seed that an earlier one has, as of another file. */
export function distinctRuns(rows: readonly RunRow[]): RunRow[] {
  const key = (row: RunRow) => [settingKey(row.config), row.config.learningRate, replicate(row)].join("\n");
  return [...Map.groupBy(rows, key).values()].map(([first]) => first);
}

function rankOf({ config }: RunRow): number | undefined {
  return config.method === "full" ? undefined : config.rank as number | undefined;
}
