/**
 * What a base of data/tiny knows before any fine-tuning, into data/results/base-SEED.json:
 * `deno run -A data/make/base_figures.ts SEED`.
 *
 * @module
 */
import {
  batchesInOrder,
  loadDataset,
  loadModel,
  loadMultipleChoice,
  meanLoss,
  multipleChoice,
  openDevice,
} from "../../mod.ts";
import { VERSION } from "../../lib/core/version.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";

const DATA = decodeURIComponent(new URL("../", import.meta.url).pathname);
const SPLITS = ["general/train", "general/held_out"].concat(
  ["facts", "format", "far"].flatMap((name) =>
    ["train", "validation", "test"].map((role) => `${name}/${role}`)
  ),
);

const seed = Number(Deno.args[0] ?? 1);
using gpu = await openDevice();
using model = await loadModel(seed === 1 ? "tiny" : `tiny:${seed}`, { gpu });
const seqLen = model.config.context - 1;
const losses: Record<string, number> = {};
for (const split of SPLITS) {
  const rows = await loadDataset(`${DATA}tiny/${split}.jsonl`, model.tokenizer, { seqLen });
  losses[split] = (await meanLoss(model, batchesInOrder(rows, { batchSize: 64, seqLen }))).mean;
}
const accuracy: Record<string, { choices: number; items: number; accuracy: number }> = {};
for (const { name } of [...Deno.readDirSync(`${DATA}tiny/tasks`)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (!name.startsWith("tiny-")) continue;
  const items = await loadMultipleChoice(`${DATA}tiny/tasks/${name}`, model.tokenizer!);
  const score = await multipleChoice(model, items);
  accuracy[name.replace(".jsonl", "")] = {
    choices: items[0].choices.length,
    items: items.length,
    accuracy: score.accuracy,
  };
}
const about = {
  command: `deno run -A data/make/base_figures.ts ${seed}`,
  device: gpu.info.name,
  date: new Date().toISOString().slice(0, 10),
  version: VERSION,
};
await writeFileAtomic(
  `${DATA}results/base-${seed}.json`,
  JSON.stringify({ ...about, losses, accuracy }, null, 2) + "\n",
);
