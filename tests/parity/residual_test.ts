import { assert, assertEquals } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach } from "../../lib/adapters/attach.ts";
import { batches as stream } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { literalResidual } from "../../lib/experiments/residual.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { Trainer } from "../../lib/train/train.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches, modelFolder } from "../helpers/fixtures.ts";

Deno.test("literalResidual() trains to the losses of the adapter it was made from", async () => {
  const gpu = await testDevice();
  using model = await loadModel(modelFolder("llama_tied")!, { gpu });
  using adapter = await attach(model, { method: "olora", rank: 4, alpha: 8, targets: "all-linear" });
  const bytes = gpu.liveBytes;
  const residual = await literalResidual(adapter);
  const added = gpu.liveBytes - bytes;
  const ours = await losses(adapter);
  const literal = await losses(residual.adapter);
  residual.adapter[Symbol.dispose]();
  residual.model[Symbol.dispose]();
  assertEquals(gpu.liveBytes, bytes);
  assert(added > 0);
  // Twenty steps amplify rounding; the promise for olora against PyTorch covers both.
  expectClose(literal, ours, ours.map((loss) => 64 * EPS * loss), "losses");
});

async function losses(adapter: Adapter): Promise<number[]> {
  const data = parseDataset(JSON.stringify({ batches: await batches("llama_tied") }), "batches.json");
  const order = stream(data, { batchSize: 1, seqLen: 1, seed: 0 });
  using trainer = new Trainer(adapter, order, { steps: 20, learningRate: 1e-3 });
  return (await Array.fromAsync(trainer.run())).flat().map(({ loss }) => loss);
}
