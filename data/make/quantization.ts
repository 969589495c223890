/**
 * What quantising costs data/tiny's base SEED under each start, into data/results/quantization-SEED.json:
 * `deno run -A data/make/quantization.ts SEED`.
 *
 * @module
 */
import {
  batchesInOrder,
  loadDataset,
  loadModel,
  meanLoss,
  openDevice,
  quantizationErrors,
} from "../../mod.ts";
import { VERSION } from "../../lib/core/version.ts";
import { writeFileAtomic } from "../../lib/io/atomic.ts";

const DATA = decodeURIComponent(new URL("../", import.meta.url).pathname);
const SETTINGS = {
  dtypes: ["nf4", "int8"] as const,
  starts: ["olora", "pissa", "loftq"],
  ranks: [1, 2, 4, 8, 16],
  scale: 1,
};

const seed = Number(Deno.args[0] ?? 1);
using gpu = await openDevice();
using model = await loadModel(seed === 1 ? "tiny" : `tiny:${seed}`, { gpu });
const seqLen = model.config.context - 1;
const text = await loadDataset(`${DATA}tiny/general/held_out.jsonl`, model.tokenizer, { seqLen });
const batches = [...batchesInOrder(text, { batchSize: 64, seqLen })];
const { mean } = await meanLoss(model, batches);
const rows: string[] = [];
for await (const { layers, ...figures } of quantizationErrors(model, { ...SETTINGS, batches })) {
  console.log(JSON.stringify(figures));
  const relative = layers.map(({ module, relativeFrobenius, relativeNuclear }) => ({
    module,
    relativeFrobenius: Number(relativeFrobenius.toPrecision(5)),
    relativeNuclear: Number(relativeNuclear.toPrecision(5)),
  }));
  rows.push(`    ${JSON.stringify({ ...figures, layers: relative })}`);
}
const about = {
  command: `deno run -A data/make/quantization.ts ${seed}`,
  device: gpu.info.name,
  date: new Date().toISOString().slice(0, 10),
  version: VERSION,
  settings: { ...SETTINGS, targets: "all-linear", text: "general/held_out" },
  unquantizedLoss: mean,
};
await writeFileAtomic(
  `${DATA}results/quantization-${seed}.json`,
  `${JSON.stringify(about, null, 2).slice(0, -2)},\n  "rows": [\n${rows.join(",\n")}\n  ]\n}\n`,
);
