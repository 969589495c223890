/**
 * FINDINGS.md and the summary that the README opens with, from the committed rows, so that no number in them can be older
 * than they are: `deno run -A data/make/findings.ts` writes both, and a test compares.
 *
 * @module
 */
import {
  bestSettings,
  convergenceVerdicts,
  distinctRuns,
  farVerdicts,
  forgettingVerdicts,
  frozenVerdicts,
  fullVerdicts,
  markdownTable,
  parameterVerdicts,
  quantizationVerdicts,
  type QuantizedBase,
  replicationNote,
  type RunRow,
  runsAtBestRate,
  type Verdict,
} from "../../mod.ts";
import { expand } from "../../lib/experiments/sweep.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";
import { rateName } from "../../lib/display/rows.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const AUTHOR_RATE = 3e-4;
/** Rank of the runs that verdicts are on. */
const RANK = 8;

/** A claim, the verdict's claims that speak to it, and what is still missing. */
interface Finding {
  readonly name: string;
  readonly claim: string;
  readonly verdicts: readonly string[];
  readonly notebook: string;
  /** The config in data/experiments whose runs it rests on, where not all of them may have been made. */
  readonly search?: string;
  readonly missing: string;
  /** What is to be said of all its verdicts alike. */
  readonly note?: (study: Study) => string;
  /** Of too few bases for a firm verdict, however many runs the others have. */
  readonly isIndication?: true;
}

const FINDINGS: readonly Finding[] = [
  {
    name: "C1",
    claim:
      "OLoRA trains fewer parameters than LoRA and needs no more memory (the first half is not the paper's claim)",
    verdicts: [
      "OLoRA trains as many parameters as LoRA",
      "OLoRA needs as much device memory as LoRA",
      "OLoRA with Q frozen trains fewer parameters than LoRA at equal rank",
      "OLoRA with Q frozen does as well as LoRA at rank 8 with as many parameters",
    ],
    notebook: "[03](notebooks/03-convergence.ipynb), [05](notebooks/05-the-frozen-factor.ipynb)",
    search: "variants",
    missing: "fresh seeds with Q frozen",
  },
  {
    name: "C2",
    claim:
      "The orthonormal factor stays fixed and only the other is trained (a variant; the paper trains both)",
    verdicts: [
      "OLoRA with Q frozen does as well as OLoRA at equal rank",
      "OLoRA with Q frozen does as well as OLoRA with as many parameters",
      "OLoRA with R frozen does as well as OLoRA at equal rank",
      "OLoRA with Q kept orthonormal does as well as OLoRA at equal rank",
    ],
    notebook: "[05](notebooks/05-the-frozen-factor.ipynb)",
    search: "variants",
    missing: "fresh seeds at the rates that it finds",
  },
  {
    name: "C3",
    claim: "OLoRA matches full fine-tuning",
    verdicts: [
      "OLoRA matches full fine-tuning, each method at its own best rate",
      "OLoRA does as well as full fine-tuning, each base as one value",
      "LoRA does as well as full fine-tuning",
    ],
    notebook: "[06](notebooks/06-full-and-far.ipynb)",
    note: controlNote,
    missing: "six of base 1's runs of full fine-tuning; real models, where it has more to move",
  },
  {
    name: "C4",
    claim: "OLoRA forgets less",
    verdicts: [
      "OLoRA forgets less than LoRA, each method at its own best rate",
      "OLoRA forgets less than full fine-tuning, each method at its own best rate",
      "OLoRA loses fewer tasks than LoRA, each method at its own best rate",
      "OLoRA loses fewer tasks than full fine-tuning, each method at its own best rate",
      "OLoRA forgets less than LoRA at equal gain",
      "OLoRA forgets less than full fine-tuning at equal gain",
    ],
    notebook: "[03](notebooks/03-convergence.ipynb), [07](notebooks/07-forgetting.ipynb)",
    note: () => "Tasks lost are of one set of items, tiny-arc-challenge.",
    missing: "rates between those tried; full fine-tuning at equal gain with fresh seeds",
  },
  {
    name: "C5",
    claim: "OLoRA converges faster than LoRA and ends lower",
    verdicts: [
      "OLoRA converges faster than LoRA, each method at its own best rate",
      "OLoRA converges faster than LoRA, both at the author's rate 3e-4",
      "OLoRA ends lower than LoRA, each method at its own best rate",
    ],
    notebook: "[03](notebooks/03-convergence.ipynb), [04](notebooks/04-why-the-rate-differs.ipynb)",
    missing: "larger models; longer runs; rates between those tried",
  },
  {
    name: "C6",
    claim: "The orthonormal start hinders tasks far from what was pretrained",
    verdicts: [
      "OLoRA ends higher than LoRA on the far task",
      "OLoRA falls further behind LoRA on the far task than on the near one",
      "OLoRA, B frozen ends higher than OLoRA on the far task",
      "OLoRA, B frozen falls further behind OLoRA on the far task than on the near one",
      "OLoRA, kept orthonormal ends higher than OLoRA on the far task",
      "OLoRA, kept orthonormal falls further behind OLoRA on the far task than on the near one",
    ],
    notebook: "[06](notebooks/06-full-and-far.ipynb)",
    search: "far",
    missing: "fresh seeds at the rates that it finds; other bases",
  },
  {
    name: "C7",
    claim: "OLoRA's start helps a quantised base (what PEFT's tests ask of it; not the paper's claim)",
    verdicts: [
      "OLoRA's start, NF4, rank 8, loses less of the weights than plain quantisation",
      "OLoRA's start, NF4, rank 8, loses less by PEFT's factor of 1.2",
      "OLoRA's start, NF4, rank 8, loses less of the weights than PiSSA's",
      "OLoRA's start, NF4, rank 8, loses less of the weights than LoftQ's",
      "OLoRA's start, NF4, rank 8, has a lower loss than plain quantisation",
    ],
    notebook: "[10](notebooks/10-quantisation.ipynb)",
    missing: "training from these starts; weights of a real model, wider and with outliers",
    isIndication: true,
  },
];

/** The rows of the study, those that its rates were searched by, and what they say. */
interface Study {
  readonly rows: readonly RunRow[];
  readonly search: readonly RunRow[];
  /** Runs with one seed on one base, which search for the rates of variants, ranks and the far task. */
  readonly single: readonly RunRow[];
  /** Full fine-tuning of the adapted matrices alone, likewise. */
  readonly control: readonly RunRow[];
  readonly verdicts: readonly Verdict[];
  /** How far the runs go, in words. */
  readonly note: string;
  /** There are enough of them. */
  readonly isFirm: boolean;
}

async function readStudy(): Promise<Study> {
  const rows = await read("study");
  const search = [...await read("convergence"), ...await read("rates")];
  const [near, far] = [[...await read("variants"), ...await read("rank")], await read("far")];
  const tried = distinctRuns([...near, ...await read("convergence")]);
  const variants = bestSettings(tried.filter(({ config }) => config.method !== "full"));
  const verdicts = [
    ...convergenceVerdicts(rows, AUTHOR_RATE, search),
    ...forgettingVerdicts(rows, ["lora"]),
    ...forgettingVerdicts(search, ["full"]),
    ...fullVerdicts(bestSettings(search, rows)),
    ...parameterVerdicts(variants, RANK),
    ...frozenVerdicts(variants, RANK),
    ...farVerdicts(bestSettings(far), variants, RANK),
    ...quantizationVerdicts(await quantizedBases()),
  ];
  const note = replicationNote(rows, search);
  const single = [...near, ...far];
  const control = await read("control");
  return { rows, search, single, control, verdicts, note, isFirm: !note.includes("an indication") };
}

/** README.md with its summary made anew: what stands between its two comments. */
export async function readme(): Promise<string> {
  const study = await readStudy();
  const table = markdownTable({
    title: "",
    columns: ["", "claim", "verdict", "difference"],
    rows: FINDINGS.flatMap(({ name, verdicts, isIndication }) =>
      verdictsOf(name, verdicts, study.verdicts).map((verdict) => [
        name,
        verdict.claim,
        wordsFor(verdict, study.isFirm && !isIndication),
        verdict.effect,
      ])
    ),
  });
  const page = await Deno.readTextFile(`${ROOT}README.md`);
  const [start, end] = ["<!-- summary of FINDINGS -->", "<!-- end of summary -->"];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`Cannot write README.md: expected ${start} … ${end} in it`);
  return await formatted(
    `${page.slice(0, from + start.length)}\n\n${table.replaceAll("---:", "---")}\n\n${page.slice(to)}`,
  );
}

/** The whole of FINDINGS.md, formatted as the repository's pages are. */
export async function findings(): Promise<string> {
  const study = await readStudy();
  const { rows, search, single, note } = study;
  const sections = await Promise.all(
    FINDINGS.map((finding) => section(finding, study)),
  );
  return await formatted(`# Findings

What the kit has measured of OLoRA's claims, from the rows in [data/results](data/README.md) and nothing else:
${search.length} runs on the three bases of data/tiny to find each method's rate (${
    devices(search)
  }), and ${rows.length}
at those rates and at the author's with fresh seeds, each of them also another permutation of the base (${
    devices(rows)
  }), for C3 to C5; for C1, C2 and C6 another ${single.length} runs with one seed on base 1, which search for rates (${
    devices(single)
  }); for C7 the three bases, without training. ${note} With each base as one value an interval says how far a
difference goes beyond these bases; it is of three values, and wide. The ${
    FINDINGS.flatMap(({ verdicts }) => verdicts).length
  } verdicts below are not
corrected for their number: of intervals of 95 % one in twenty misses. Rates were chosen on the validation split; losses
at the end are of the test split. After the 500 steps of a run the loss still falls on bases 2 and 3. This page is made
by \`deno run -A data/make/findings.ts\`.

${sections.join("\n\n")}

## What others measured

Published figures on OLoRA by others than its author; none of them was repeated here.

- Learning rate tuned for each method, Qwen3-0.6B on MetaMath, rank 128: OLoRA 49.08 (mean of GSM8K and MATH) at
  1.1e-5, LoRA 49.60 at 2e-4, the best of ten 49.92; the largest eigenvalue of the Hessian at the start about 58 times
  LoRA's ([arXiv:2602.04998](https://arxiv.org/abs/2602.04998)).
- Rank 16, s = 1/16, mean of eight commonsense tasks, OLoRA against LoRA: Llama-2-7B 82.9 and 82.2, Llama-3.1-8B 89.4
  and 89.2, Gemma-2-9B 91.8 and 92.2, Gemma-2-27B 93.6 and 93.1, Llama-3.1-70B 94.4 and 93.6
  ([arXiv:2410.07170](https://arxiv.org/abs/2410.07170), table 7).
- A frozen and B trained, Llama-2-7B, GSM8K: 3.1 from OLoRA's start, 57.3 from LoRA's, the rate not tuned for each
  (the authors of LoRA-FA, [arXiv:2308.03303](https://arxiv.org/abs/2308.03303), in their review).
`);
}

/** Full fine-tuning of the adapted matrices alone, which adapters should be held against where embeddings matter. */
function controlNote({ control, search }: Study): string {
  const [{ rate, rows }] = runsAtBestRate(control);
  const same = ({ config }: RunRow) =>
    config.model === rows[0].config.model && config.seed === rows[0].config.seed;
  const [all] = runsAtBestRate(search.filter((row) => same(row) && row.config.method === "full"));
  const lost = ({ final }: RunRow) =>
    `${final.test!.toFixed(4)} at ${final.forgetting!.toFixed(3)} nats of general text`;
  return `Control, one seed on base 1: full fine-tuning of the adapted matrices alone ends at a test loss of ${
    lost(rows[0])
  } (rate ${rateName(rate)}), of all weights at ${lost(all.rows[0])} (rate ${rateName(all.rate)}).`;
}

function devices(rows: readonly RunRow[]): string {
  return [...new Set(rows.map(({ device }) => device))].join(", ");
}

async function read(name: string): Promise<RunRow[]> {
  return (await readJsonl(`${ROOT}data/results/${name}.jsonl`)).map(({ value }) => value as RunRow);
}

/** The runs of a config that have no row yet, in words to go before what else is missing. */
async function runsLeft(name: string): Promise<string> {
  const runs = expand(JSON.parse(await Deno.readTextFile(`${ROOT}data/experiments/${name}.json`))).length;
  const left = runs - (await read(name)).length;
  return left
    ? `${left} of the ${runs} runs that search for rates (\`data/experiments/${name}.json\`); `
    : "";
}

async function quantizedBases(): Promise<QuantizedBase[]> {
  const texts = [1, 2, 3].map((seed) => Deno.readTextFile(`${ROOT}data/results/quantization-${seed}.json`));
  return (await Promise.all(texts)).map((text) => JSON.parse(text));
}

async function formatted(markdown: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--config", `${ROOT}deno.json`, "--ext", "md", "-"],
    ...{ stdin: "piped", stdout: "piped" },
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await fmt.output();
  if (!success) throw new Error("Cannot format FINDINGS.md: deno fmt ended with an error");
  return new TextDecoder().decode(stdout);
}

async function section(
  { name, claim, verdicts, notebook, search, missing, note, isIndication }: Finding,
  study: Study,
): Promise<string> {
  const isFirm = study.isFirm && !isIndication;
  const own = verdictsOf(name, verdicts, study.verdicts).map((verdict) =>
    `- **${wordsFor(verdict, isFirm)}**: ${verdict.claim}. ${verdict.sentence}`
  );
  const left = search ? await runsLeft(search) : "";
  return `## ${name}. ${claim}\n\n${own.join("\n")}\n\n${
    note ? `${note(study)} ` : ""
  }Notebook: ${notebook}. Still missing: ${left}${missing}.`;
}

/** @throws {RangeError} If the rows give no verdict on one of `claims`. */
function verdictsOf(name: string, claims: readonly string[], all: readonly Verdict[]): Verdict[] {
  return claims.map((wanted) => {
    const verdict = all.find(({ claim }) => claim === wanted);
    if (!verdict) throw new RangeError(`Cannot write ${name}: the rows give no verdict on "${wanted}"`);
    return verdict;
  });
}

/** The outcome as the page says it; what is counted needs no replication. */
function wordsFor({ outcome, sentence }: Verdict, isFirm: boolean): string {
  const isEnough = isFirm && !/ An indication: /.test(sentence);
  const soFar = isEnough || outcome === "inconclusive" || /counted exactly/.test(sentence) ? "" : " so far";
  return WORDS[outcome] + soFar;
}

const WORDS: Readonly<Record<Verdict["outcome"], string>> = {
  held: "Held",
  refuted: "Refuted",
  inconclusive: "Inconclusive",
};

if (import.meta.main) {
  await writeFileAtomic(`${ROOT}FINDINGS.md`, await findings());
  await writeFileAtomic(`${ROOT}README.md`, await readme());
}
