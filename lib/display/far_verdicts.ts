import { indicationNote, replicate, testLoss } from "./contrast.ts";
import { methodName, rateName, type RunRow } from "./rows.ts";
import {
  edgeNote,
  findSetting,
  notMeasured,
  pairSettings,
  type Setting,
  type SettingPlace,
  settingRuns,
  settingVerdict,
} from "./settings.ts";
import { mean, pairedInterval } from "./statistics.ts";
import { type Cell, formatFixed, type Table } from "./table.ts";
import { differenceText, type Verdict } from "./verdicts.ts";

/** Who may be hindered by an orthonormal factor, and by whom that shows. */
const PAIRS = [
  ["olora", "lora"],
  ["olora-freeze-B", "olora"],
  ["olora-keep-orthonormal", "olora"],
] as const;

/**
 * Verdicts on tasks far from what was pretrained (C6): whether OLoRA ends higher than LoRA there, and its variants whose
 * factor stays orthonormal higher than OLoRA; and whether each falls further behind there than on a near task. What it
 * falls behind is its test loss minus the other's as a share of the other's improvement from the start, as losses of two
 * tasks do not compare.
 *
 * Own construction: a method that ends higher on every task is not hindered by the distance.
 *
 * @param far `bestSettings` on the far task.
 * @param near `bestSettings` on the near task.
 * @param rank Rank of all adapters.
 */
export function farVerdicts(far: readonly Setting[], near: readonly Setting[], rank: number): Verdict[] {
  return PAIRS.flatMap(([method, other]) => {
    const places = [{ method, rank }, { method: other, rank }] as const;
    const names = [methodName(method), methodName(other)];
    return [
      settingVerdict(`${names[0]} ends higher than ${names[1]} on the far task`, far, places, "higher"),
      distanceVerdict(
        `${names[0]} falls further behind ${names[1]} on the far task than on the near one`,
        places,
        [
          far,
          near,
        ],
      ),
    ];
  });
}

/** Each setting at its best rate on both tasks: loss at the end, and the share of the loss at the start that is gone. */
export function farTable(far: readonly Setting[], near: readonly Setting[]): Table {
  const cells = (setting?: Setting): Cell[] => {
    if (!setting) return [null, null, null, null];
    const runs = settingRuns(setting);
    return [
      rateName(setting.rate) + (setting.counts ? "" : " (edge)"),
      runs.length,
      mean(runs.map(testLoss)),
      `${formatFixed(100 * mean(runs.map((row) => 1 - testLoss(row) / startOf(row))), 1)} %`,
    ];
  };
  return {
    title: "The far task and the near one",
    columns: [
      "",
      ...["far", "near"].flatMap((task) => [`Best rate, ${task}`, "Runs", "Test loss", "Of the start gone"]),
    ],
    rows: far.map((
      setting,
    ) => [methodName(setting.method), ...cells(setting), ...cells(findSetting(near, setting))]),
    note:
      "Test losses in nats per token, means over runs. Edge: fewer than two tried rates on one side of the best, so it " +
      "is no optimum.",
  };
}

function distanceVerdict(
  claim: string,
  [first, second]: readonly [SettingPlace, SettingPlace],
  tasks: readonly [readonly Setting[], readonly Setting[]],
): Verdict {
  const found = tasks.map((settings) => [first, second].map((place) => findSetting(settings, place)));
  const lags = found.map(([a, b]) => a && b ? lagsOf(a, b) : new Map<string, number>());
  const shared = [...lags[0].keys()].filter((place) => lags[1].has(place));
  if (!shared.length) {
    return notMeasured(claim, "both tasks on a base and seed that all have");
  }
  const [far, near] = lags.map((each) => shared.map((place) => 100 * each.get(place)!));
  const difference = pairedInterval(far, near);
  const edges = edgeNote(found.flat());
  const bases = new Set(shared.map((place) => place.split("\n")[0])).size;
  const effect = differenceText(difference, "points");
  const sentence =
    `Behind ${methodName(second.method)} by ${formatFixed(mean(far), 1)} % of its improvement there and by ` +
    `${formatFixed(mean(near), 1)} % near: a difference of ${effect}.` +
    indicationNote({ difference, bases });
  const decided = difference.low > 0 ? "held" : difference.high < 0 ? "refuted" : "inconclusive";
  return {
    claim,
    outcome: edges ? "inconclusive" : decided,
    sentence: [sentence, edges].filter(Boolean).join(" "),
    effect,
  };
}

/** For each base and seed, (loss − other's loss) / (loss at the start − other's loss). */
function lagsOf(setting: Setting, other: Setting): Map<string, number> {
  return new Map(
    pairSettings(setting, other).map(([a, b]) => [
      replicate(a),
      (testLoss(a) - testLoss(b)) / (startOf(b) - testLoss(b)),
    ]),
  );
}

/** Validation loss before training, nats per token. */
function startOf({ curve }: RunRow): number {
  return curve[0]?.loss ?? NaN;
}
