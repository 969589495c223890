import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { results, resultsText, writeResults } from "../../lib/cli/reproduce_output.ts";
import { type RunRow, runsAtBestRate } from "../../lib/display/rows.ts";
import { syntheticRows } from "../display/synthetic_rows.ts";

const stored = syntheticRows(3);

/** Runs with fresh seeds at the best rates. */
function liveRows(steps: number, model = "synthetic"): RunRow[] {
  return runsAtBestRate(syntheticRows(3, steps)).flatMap(({ method }) => {
    const { rate } = runsAtBestRate(stored).find((group) => group.method === method)!;
    return syntheticRows(3, steps).filter(({ config }) =>
      config.method === method && config.learningRate === rate
    );
  }).map((row) => ({ ...row, config: { ...row.config, seed: row.config.seed + 11, model } }));
}

Deno.test("results() of another model than the committed rows' has neither their curves nor verdicts, and says so", async () => {
  const made = results(stored, liveRows(400, "another"), true);
  assertEquals([made.verdicts, made.tables.length, made.rates], [[], 1, undefined]);
  assert(made.curves.panels.flatMap(({ series }) => series).every(({ dashed }) => !dashed));
  assertMatch(made.note, /^No verdicts and no stored curves: the committed rows are of synthetic/);
  assertStringIncludes(resultsText(made), made.note);
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/rates.svg`, "of a run before");
  await writeResults(folder, made, { device: "a device", isSoftware: true, facts: {} });
  assertStringIncludes(await Deno.readTextFile(`${folder}/report.html`), made.note);
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["curves.svg", "report.html"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("results() says on which rows its verdicts rest: on those made here only if they are whole", () => {
  const live = liveRows(2000).map((row) => ({ ...row, final: { ...row.final, forgetting: 9 } }));
  const [whole, short] = [results(stored, live, true), results(stored, live, false)];
  assertStringIncludes(whole.note, "rest on the runs made here, at rates that the committed ones chose");
  assertStringIncludes(short.note, "rest on the committed runs of full length, not on");
  const forgets = ({ verdicts }: typeof whole) =>
    verdicts.find(({ claim }) => claim.startsWith("OLoRA forgets less than LoRA"))!.sentence;
  assertStringIncludes(forgets(whole), "general text 9 (LoRA 9)");
  assert(!forgets(short).includes("general text 9"), forgets(short));
});
