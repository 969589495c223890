/**
 * FINDINGS.md from the committed rows, so that no number in it can be older than they are:
 * `deno run -A data/make/findings.ts` writes it, and a test compares.
 *
 * @module
 */
import {
  convergenceVerdicts,
  forgettingVerdicts,
  quantizationVerdicts,
  type QuantizedBase,
  replicationNote,
  type RunRow,
  type Verdict,
} from "../../mod.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const AUTHOR_RATE = 3e-4;

/** A claim, the verdict's claims that speak to it, and what is still missing. */
interface Finding {
  readonly name: string;
  readonly claim: string;
  readonly verdicts: readonly string[];
  readonly notebook: string;
  readonly missing: string;
  /** Of too few bases for a firm verdict, however many runs the others have. */
  readonly isIndication?: true;
}

const FINDINGS: readonly Finding[] = [
  {
    name: "C1",
    claim:
      "OLoRA trains fewer parameters than LoRA and needs no more memory (the first half is not the paper's claim)",
    verdicts: ["OLoRA trains as many parameters as LoRA", "OLoRA needs as much device memory as LoRA"],
    notebook: "[03](notebooks/03-convergence.ipynb)",
    missing: "equal parameters rather than equal rank",
  },
  {
    name: "C2",
    claim:
      "The orthonormal factor stays fixed and only the other is trained (a variant; the paper trains both)",
    verdicts: [],
    notebook: "none yet",
    missing: 'runs of `freeze: "B"` and `keep: "orthonormal"`',
  },
  {
    name: "C3",
    claim: "OLoRA matches full fine-tuning",
    verdicts: ["OLoRA matches full fine-tuning, each method at its own best rate"],
    notebook: "[03](notebooks/03-convergence.ipynb)",
    missing: "real models, where full fine-tuning has more to move",
  },
  {
    name: "C4",
    claim: "OLoRA forgets less",
    verdicts: [
      "OLoRA forgets less than LoRA, each method at its own best rate",
      "OLoRA forgets less than full fine-tuning, each method at its own best rate",
      "OLoRA forgets less than LoRA at equal gain",
      "OLoRA forgets less than full fine-tuning at equal gain",
    ],
    notebook: "[03](notebooks/03-convergence.ipynb), [07](notebooks/07-forgetting.ipynb)",
    missing: "more seeds on bases 2 and 3; tasks lost; rates between those tried",
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
    missing: "larger models; more bases and seeds",
  },
  {
    name: "C6",
    claim: "The orthonormal start hinders tasks far from what was pretrained",
    verdicts: [],
    notebook: "none yet",
    missing: "runs on `data/tiny/far`",
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

/** The whole of FINDINGS.md, formatted as the repository's pages are. */
export async function findings(): Promise<string> {
  const [rows, rates] = [await read("convergence"), await read("rates")];
  const verdicts = [
    ...convergenceVerdicts(rows, AUTHOR_RATE),
    ...forgettingVerdicts([...rows, ...rates], ["lora", "full"]),
    ...quantizationVerdicts(await quantizedBases()),
  ];
  const devices = [...new Set(rows.map(({ device }) => device))].join(", ");
  const note = replicationNote(rows);
  const isFirm = !note.includes("an indication");
  const sections = FINDINGS.map((finding) => section(finding, verdicts, isFirm && !finding.isIndication));
  return await formatted(`# Findings

What the kit has measured of OLoRA's claims, from the rows in [data/results](data/README.md) and nothing else:
${rows.length} runs on data/tiny, and ${rates.length} on its other two bases for forgetting at equal gain; ${devices}. ${
    replicationNote(rows)
  } Rates were chosen on the validation split;
losses at the end are of the test split. This page is made by \`deno run -A data/make/findings.ts\`.

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

async function read(name: string): Promise<RunRow[]> {
  return (await readJsonl(`${ROOT}data/results/${name}.jsonl`)).map(({ value }) => value as RunRow);
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

function section(
  { name, claim, verdicts, notebook, missing }: Finding,
  all: readonly Verdict[],
  isFirm: boolean,
): string {
  const own = verdicts.map((wanted) => {
    const verdict = all.find(({ claim }) => claim === wanted);
    if (!verdict) throw new RangeError(`Cannot write ${name}: the rows give no verdict on "${wanted}"`);
    const soFar = isFirm || verdict.outcome === "open" || /counted exactly/.test(verdict.sentence)
      ? ""
      : " so far";
    return `- **${WORDS[verdict.outcome]}${soFar}**: ${verdict.claim}. ${verdict.sentence}`;
  });
  const lines = own.length ? own : ["- **Not measured**."];
  return `## ${name}. ${claim}\n\n${lines.join("\n")}\n\nNotebook: ${notebook}. Still missing: ${missing}.`;
}

const WORDS: Readonly<Record<Verdict["outcome"], string>> = {
  "held": "Held",
  "did not hold": "Refuted",
  "open": "Inconclusive",
};

if (import.meta.main) await writeFileAtomic(`${ROOT}FINDINGS.md`, await findings());
