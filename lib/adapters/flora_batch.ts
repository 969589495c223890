import { constant, Tape } from "../autograd/tape.ts";
import { toFloat32 } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { linearModules } from "../io/weights.ts";
import type { Layer } from "../nn/decoder.ts";
import { negativeLogLikelihood, padded, uploadBatch } from "../nn/score.ts";
import type { Adapter } from "./adapter.ts";
import { settingsOf } from "./attach.ts";
import { flora, floraLayer } from "./flora.ts";

/**
 * Nats of each token of each row but the first, as `score` has them, row i under the i-th of `adapters`, in one batch: each
 * layer is one product with W for all rows, whatever their adapters. What is attached to the model does not count.
 *
 * Source: Wen and Chaudhuri 2023, arXiv:2312.05677, eq. (6).
 *
 * @param adapters One of method "flora" for each row, on one model, with the same layers and ranks.
 * @param rows Token ids; a row of one token has nothing to score.
 * @throws {RangeError} If the adapters are not those, or a row does not fit the model.
 */
export async function scoreEach(
  adapters: readonly Adapter[],
  rows: readonly (readonly number[])[],
): Promise<Float32Array[]> {
  check(adapters, rows.length);
  const t = Math.max(...rows.map(({ length }) => length)) - 1;
  if (t < 1) return rows.map(() => new Float32Array(0));
  const [{ model, layers }] = adapters;
  const { gpu } = model;
  using nll = gpu.scope(() => {
    const together = new Map([...layers.keys()].map((module) => [module, layerOfEach(adapters, module)]));
    const changes = {
      weight: () => undefined,
      branch: () => undefined,
      layer: (module: string) => together.get(module),
    };
    const tape = new Tape(gpu, { gradients: false });
    return tape.keep(
      negativeLogLikelihood(tape, model, uploadBatch(model, padded(rows, t), changes), { changes }),
    );
  });
  const values = await gpu.read(nll);
  return rows.map(({ length }, i) => values.slice(i * t, i * t + Math.max(0, length - 1)));
}

/** The layer called `module` with a row of factors for each text; its tensors belong to the scope around the call. */
function layerOfEach(adapters: readonly Adapter[], module: string): Layer {
  const { gpu } = adapters[0].model;
  const [a, b] = ["a", "b"].map((name) => {
    const rows = adapters.map((adapter) => factor(adapter, module, name));
    const all = gpu.tensor([rows.length, rows[0].size]);
    rows.forEach((row, i) => gpu.copy(row, all, i * row.size));
    return constant(all);
  });
  return { apply: (tape, x, w) => floraLayer(tape, { x, w, a, b }) };
}

/** One factor, which is a constant where it is frozen. */
function factor({ model, config, parameters }: Adapter, module: string, name: string): Tensor {
  const trained = parameters.get(`${module}.${name}`);
  if (trained) return trained.value;
  const target = { module, ...linearModules(model.config).get(module)!, config: settingsOf(config, module) };
  const fixed = flora.layer!.constants!(target).get(name)!;
  return model.gpu.upload(toFloat32(fixed), fixed.shape);
}

function check(adapters: readonly Adapter[], rows: number): void {
  const fail = (found: string, expected: string): never => {
    throw new RangeError(`Cannot score ${found}: expected ${expected}`);
  };
  if (!rows || adapters.length !== rows) {
    fail(`${rows} rows with ${adapters.length} adapters`, "one for each");
  }
  const shape = ({ layers, config }: Adapter) =>
    [...layers.keys()].map((module) => `${module} ${settingsOf(config, module).rank}`).join();
  for (const adapter of adapters) {
    const { model, config: { method } } = adapter;
    if (method !== "flora") fail(`an adapter of method ${method}`, 'adapters of method "flora"');
    if (model !== adapters[0].model) fail("adapters of several models", "one model");
    if (shape(adapter) !== shape(adapters[0])) fail("adapters of different layers or ranks", "the same");
  }
}
