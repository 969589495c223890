import { assert, assertEquals } from "@std/assert";
import { rateName, type RunRow } from "../../lib/display/rows.ts";
import { readJsonl } from "../../lib/io/jsonl.ts";

const DATA = new URL("../../data/", import.meta.url);
const json = async (name: string) => JSON.parse(await Deno.readTextFile(new URL(name, DATA)));
const page = await Deno.readTextFile(new URL("README.md", DATA));
const bases = await Promise.all([1, 2, 3].map((seed) => json(`results/base-${seed}.json`)));

/** The cells of the table row that starts with `name`, after it. */
function cells(name: string): string[] {
  const line = page.split("\n").find((line) => line.startsWith(`| ${name} `) && /\d\.\d/.test(line));
  return line!.split("|").slice(2, -1).map((cell) => cell.trim());
}

const quantized = await Promise.all([1, 2, 3].map((seed) => json(`results/quantization-${seed}.json`)));

/** Mean over the bases of a figure of their row of that format, start and rank. */
function meanOf(dtype: string, start: string, rank: number, name: "relativeNuclear" | "loss"): number {
  const found = quantized.map(({ rows }) =>
    rows.find((row: Record<string, unknown>) =>
      row.dtype === dtype && row.start === start && row.rank === rank
    )
  );
  return found.reduce((sum, row) => sum + row[name] / found.length, 0);
}

const SPLITS: Record<string, string> = {
  "general, trained distribution": "general/train",
  "general, held out": "general/held_out",
  "facts, validation": "facts/validation",
  "format, validation": "format/validation",
  "far, validation": "far/validation",
};

for (const [name, split] of Object.entries(SPLITS)) {
  Deno.test(`data/README.md: losses of the bases on ${name} are those of data/results`, () => {
    assertEquals(cells(name).slice(0, 3), bases.map(({ losses }) => losses[split].toFixed(3)));
  });
}

Deno.test("data/README.md: accuracies of the bases are those of data/results", () => {
  const sets = Object.keys(bases[0].accuracy);
  assertEquals(sets.length, 7);
  for (const set of sets) {
    const [choices, ...accuracies] = cells(set);
    assertEquals(Number.parseInt(choices) || 4, bases[0].accuracy[set].choices, set);
    assertEquals(accuracies, bases.map(({ accuracy }) => accuracy[set].accuracy.toFixed(3)), set);
  }
});

Deno.test("data/README.md: held-out loss is as near to that of the trained distribution as it says", () => {
  const [, percent] = page.match(/at most ([\d.]+) % apart/)!;
  const apart = bases.map(({ losses }) => Math.abs(losses["general/held_out"] / losses["general/train"] - 1));
  const worst = Math.max(...apart);
  assertEquals((100 * worst).toFixed(1), percent);
  assert(worst < 0.05);
});

for (const dtype of ["nf4", "int8"]) {
  for (const start of ["olora", "pissa", "loftq"]) {
    Deno.test(`data/README.md: what ${dtype} loses from ${start}'s start is the mean of data/results`, () => {
      const norms = [1, 2, 4, 8, 16].map((rank) => meanOf(dtype, start, rank, "relativeNuclear").toFixed(3));
      assertEquals(cells(`${dtype}, ${start}`), [...norms, meanOf(dtype, start, 16, "loss").toFixed(4)]);
    });
  }
}

Deno.test("data/README.md: losses before and in plain quantisation are the means of data/results", () => {
  const [, ...found] = page.match(/is\s(\d\.\d+)\snats\sbefore,\s(\d\.\d+)\sin\splain\sNF4\sand\s(\d\.\d+)/)!;
  const before = quantized.reduce((sum, { unquantizedLoss }) => sum + unquantizedLoss / quantized.length, 0);
  const plain = ["nf4", "int8"].map((dtype) => meanOf(dtype, "none", 0, "loss"));
  assertEquals(found, [before, ...plain].map((loss) => loss.toFixed(4)));
});

Deno.test("data/README.md: what full fine-tuning and the best adapter reach is the mean of study.jsonl", async () => {
  const rows = (await readJsonl(decodeURIComponent(new URL("results/study.jsonl", DATA).pathname)))
    .map(({ value }) => value as RunRow);
  const settings = [["full", 3e-4], ["lora", 3e-3], ["olora", 3e-3]] as const;
  const mean = (i: number, method: string, name: "validation" | "forgetting") => {
    const rate = settings.find(([other]) => other === method)![1];
    const own = rows.filter(({ config }) =>
      config.method === method && config.learningRate === rate &&
      config.model === ["tiny", "tiny:2", "tiny:3"][i]
    );
    return own.reduce((sum, { final }) => sum + final[name]! / own.length, 0);
  };
  const expect = (name: string, value: (i: number) => number) =>
    assertEquals(cells(name), [0, 1, 2].map((i) => value(i).toFixed(3)), name);
  for (const [method, rate] of settings) {
    expect(`${method}, ${rateName(rate)}: validation`, (i) => mean(i, method, "validation"));
    if (method !== "olora") {
      expect(`${method}, ${rateName(rate)}: general lost`, (i) => mean(i, method, "forgetting"));
    }
  }
  expect("share of the gap, lora", (i) => {
    const before = bases[i].losses["facts/validation"];
    return (before - mean(i, "lora", "validation")) / (before - mean(i, "full", "validation"));
  });
});

Deno.test("data/README.md: base 1 alone is not above chance on tiny-hellaswag", () => {
  const [, said] = page.match(/standard\serror\sof\s([\d.]+)/)!;
  const error = Math.sqrt(0.25 * 0.75 / 200);
  assertEquals(said, error.toFixed(3));
  const above = bases.map(({ accuracy }) => {
    const { accuracy: share, items } = accuracy["tiny-hellaswag"];
    assertEquals(items, 200);
    return share > 0.25 + 1.96 * error;
  });
  assertEquals(above, [false, true, true]);
});

Deno.test("data/README.md: bytes and losses of the residual form are those of residual.json", async () => {
  const { bytes, largestLossDifference } = await json("results/residual.json");
  const [, ...found] = page.match(
    /\(([\d.]+) MB on the device\) it takes ([\d.]+) MB, the kit's form ([\d.]+) MB.*?at most ([\d.e-]+) nats/s,
  )!;
  const [base, ours, literal] = Object.values<number>(bytes).map((count) => (count / 1e6).toFixed(2));
  assertEquals(found, [base, literal, ours, largestLossDifference.toExponential(1)]);
});
