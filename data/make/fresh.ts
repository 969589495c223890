/**
 * From a search for rates to the runs that a verdict rests on: `deno run -A data/make/fresh.ts NAME` reads
 * data/experiments/NAME.json and its rows, takes each setting's rate of the lowest validation loss, and writes
 * data/experiments/NAME-study.json, with ten fresh seeds that are permutations too, spread over the three bases.
 *
 * @module
 */
import { expand, type RunRow, type SweepConfig } from "../../mod.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";
import { endLoss } from "../../lib/display/rows.ts";

const EXPERIMENTS = decodeURIComponent(new URL("../experiments/", import.meta.url).pathname);
const SEEDS = Array.from({ length: 10 }, (_, i) => 11 + i);
const BASES = ["tiny", "tiny:2", "tiny:3"];

/** What every run of the search shares, or is varied to find the rate. */
const COMMON = ["model", "seed", "permutation", "learningRate", "data", "evaluation"];

/**
 * The study that follows from a search.
 *
 * @param rows Finished runs of the search; others are not looked at.
 * @returns Its config, and the settings whose rate has no two tried rates on either side.
 * @throws {RangeError} If a setting has no run that ended.
 */
export function freshRuns(
  search: SweepConfig,
  rows: readonly RunRow[],
  name: string,
): { study: SweepConfig; edges: string[] } {
  const wanted = new Set(expand(search).map((run) => settingsOf({ ...run }, search)));
  const ended = Map.groupBy(rows, ({ config }) => settingsOf(config, search));
  const edges: string[] = [];
  const method = [...wanted].map((settings) => {
    const runs = ended.get(settings) ?? [];
    const [best] = runs.toSorted((a, b) => endLoss(a) - endLoss(b));
    if (!best || endLoss(best) === Infinity) {
      throw new RangeError(`Cannot choose a rate for ${settings}: expected a run of it that ended`);
    }
    const { learningRate } = best.config;
    const below = runs.filter(({ config }) => config.learningRate < learningRate).length;
    if (Math.min(below, runs.length - 1 - below) < 2) edges.push(`${settings} at ${learningRate}`);
    return { ...JSON.parse(settings), learningRate };
  });
  const { model: _, ...base } = search.base;
  const replicate = SEEDS.map((seed, i) => ({ seed, permutation: seed, model: BASES[i % BASES.length] }));
  const study = {
    base,
    grid: [{ replicate, method }],
    measures: search.measures,
    rows: `../results/${name}-study.jsonl`,
    work: `../../out/${name}-study`,
  };
  return { study, edges };
}

/** Settings in which runs of a search differ beside rate and seed, as JSON. */
function settingsOf(config: Readonly<Record<string, unknown>>, { base }: SweepConfig): string {
  const own = Object.entries(config).filter(([key, value]) => !COMMON.includes(key) && base[key] !== value);
  return JSON.stringify(Object.fromEntries(own.sort(([a], [b]) => a < b ? -1 : 1)));
}

if (import.meta.main) {
  const name = Deno.args[0];
  const search: SweepConfig = JSON.parse(await Deno.readTextFile(`${EXPERIMENTS}${name}.json`));
  const rows = (await readJsonl(`${EXPERIMENTS}${search.rows}`)).map(({ value }) => value as RunRow);
  const { study, edges } = freshRuns(search, rows, name);
  await writeFileAtomic(`${EXPERIMENTS}${name}-study.json`, JSON.stringify(study, null, 2) + "\n");
  console.log(`data/experiments/${name}-study.json: ${expand(study).length} runs`);
  for (const edge of edges) console.log(`no two tried rates on either side: ${edge}`);
}
