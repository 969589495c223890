import { assert } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { Trainer } from "../../lib/train/train.ts";
import { expectClose, furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as batchesOf, fixturePath } from "../helpers/fixtures.ts";
import { inFolder } from "../helpers/folder.ts";
import { askPeft, type PeftMade, type PeftRead } from "./peft_peer.ts";

/** Nats: float32 against float32 on models whose logits are of order 10. */
export const BOUND = 3e-4;

/** What PEFT is asked to write, on `llama_untied` or another fixture's model. */
export type Made = Record<string, Pick<PeftMade, "config" | "steps" | "dtype"> & { model?: string }>;

/** Rows of nats, each within `by` of the other's. */
export function same(
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  by: number,
): void {
  actual.forEach((row, i) => expectClose(row, expected[i], by, `row ${i}`));
}

const data = parseDataset(JSON.stringify({ batches: await batchesOf("llama_untied") }), "b.json");

/** Trains at 3e-2 on the batches of `llama_untied`. */
export async function train(adapter: Adapter, steps: number): Promise<void> {
  using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
    steps,
    learningRate: 3e-2,
  });
  await Array.fromAsync(trainer.run());
}

/**
 * PEFT writes adapters, the kit reads them with PEFT's likelihoods and saves them again, and PEFT gives what it saved the
 * likelihoods that it gave its own.
 *
 * @param python A Python that has PEFT.
 */
export function thereAndBack(
  t: Deno.TestContext,
  python: string,
  made: Made,
  ids: number[][],
): Promise<void> {
  return inFolder(async (folder) => {
    const base = (name: string) => fixturePath(made[name].model ?? "llama_untied");
    const out = (name: string) => `${folder}/${name.replaceAll(/\W+/g, "-")}`;
    const rows = ids.map((row) => row.map((id) => id % 53));
    const { write } = await askPeft(python, {
      ids: rows,
      write: Object.entries(made).map(([name, { model: _, ...made }]) => ({
        ...{ name, base: base(name), out: out(name) },
        ...made,
      })),
    });
    const saved: PeftRead[] = [];
    for (const [name, { steps = 0, model: which }] of Object.entries(made)) {
      await t.step(name, async () => {
        using model = await loadModel(fixturePath(which ?? "llama_untied"), { gpu: await testDevice() });
        const before = await score(model, rows);
        using adapter = await loadAdapter(model, out(name));
        const found = await score(model, rows);
        same(found, write[name], BOUND);
        const moved = furthest(found, before);
        assert(steps ? moved > 1e-2 : moved < BOUND, `moved by ${moved} nats`);
        await saveAdapter(adapter, `${out(name)}-again`);
        saved.push({ name, base: base(name), adapter: `${out(name)}-again` });
      });
    }
    const { read } = await askPeft(python, { ids: rows, read: saved });
    for (const { name } of saved) {
      await t.step(`${name}, saved again`, () => same(read[name], write[name], BOUND));
    }
  });
}
