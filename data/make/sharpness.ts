/**
 * Largest eigenvalues at the start of LoRA and OLoRA, of the Hessian and of the Hessian as Adam sees it, on the three bases
 * of data/tiny and four batches each, and by the balance of OLoRA's factors, into data/results/sharpness.json:
 * `deno run -A data/make/sharpness.ts`; five minutes on two cores.
 *
 * @module
 */
import { attach, type AttachOptions, batchesInOrder, loadDataset, loadModel, openDevice } from "../../mod.ts";
import { sharpness } from "../../mod.ts";
import { progressBar } from "../../lib/cli/command.ts";
import { VERSION } from "../../lib/core/version.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";

const DATA = decodeURIComponent(new URL("../", import.meta.url).pathname);
const BASES = ["tiny", "tiny:2", "tiny:3"];
const BALANCES = [0.25, 0.5, 1, 2, 4, 8];
const PRECONDITIONERS = ["none", "adam"] as const;

/** What one eigenvalue is of. */
interface Case extends Pick<AttachOptions, "method" | "seed" | "balance"> {
  readonly model: string;
  /** The batch of 16 rows of facts/train, from 1. */
  readonly batch: number;
  readonly preconditioner: typeof PRECONDITIONERS[number];
}

const cases = PRECONDITIONERS.flatMap((preconditioner): Case[] => [
  ...BASES.flatMap((model) =>
    [1, 2, 3, 4].flatMap((batch) => [
      { model, batch, preconditioner, method: "lora", seed: batch },
      { model, batch, preconditioner, method: "olora" },
    ])
  ),
  ...BALANCES.filter((balance) => balance !== 1).map((balance) => ({
    ...{ model: BASES[0], batch: 1, preconditioner, method: "olora", balance },
  })),
]);

using gpu = await openDevice();
const bar = progressBar();
const values: (Case & { value: number })[] = [];
for (const [name, own] of Map.groupBy(cases, ({ model }) => model)) {
  using model = await loadModel(name, { gpu });
  const rows = await loadDataset(`${DATA}tiny/facts/train.jsonl`, model.tokenizer, { seqLen: 64 });
  const batches = [...batchesInOrder(rows, { batchSize: 16, seqLen: 64, limit: 64 })];
  for (const one of own) {
    const { model: _, batch, preconditioner, ...options } = one;
    using adapter = await attach(model, { rank: 8, alpha: 4, targets: "all-linear", ...options });
    const { value } = await sharpness(adapter, [batches[batch - 1]], { preconditioner, tolerance: 1e-2 });
    values.push({ ...one, value });
    bar.update({ done: values.length, total: cases.length, unit: "eigenvalue" });
  }
}
bar.finish();
await writeFileAtomic(
  `${DATA}results/sharpness.json`,
  JSON.stringify(
    {
      command: "deno run -A data/make/sharpness.ts",
      date: new Date().toISOString().slice(0, 10),
      version: VERSION,
      device: gpu.info.name,
      tolerance: 1e-2,
      values,
    },
    null,
    1,
  ) + "\n",
);
