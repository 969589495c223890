import type { HostTensor } from "../core/host_tensor.ts";
import { linearModules } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import type { Adapter } from "./adapter.ts";
import { attach, type AttachOptions } from "./attach.ts";

/** What an adapter stores for one layer: A `[r, in]`, B `[out, r]`, vectors of `[out]`. */
interface StoredLayer {
  readonly a: HostTensor;
  readonly b: HostTensor;
  readonly magnitude?: HostTensor;
  readonly bias?: HostTensor;
}

/**
 * Requires that what is stored of an adapter fits the layers of `model`, before any of it is attached.
 *
 * @param folder The adapter's, for the error.
 * @throws {RangeError} If the model has no such layer, or one of other sizes; names the layer, what was found and expected.
 */
export function requireFit(model: Model, folder: string, layers: ReadonlyMap<string, StoredLayer>): void {
  const modules = linearModules(model.config);
  for (const [module, { a, b, magnitude, bias }] of layers) {
    const linear = modules.get(module);
    if (!linear) {
      throw new RangeError(
        `Cannot attach ${folder}: found ${module}, expected linear layers of ${model.source.name}, as ${modules.keys().next().value}`,
      );
    }
    const { out, in: width } = linear;
    const [rank] = a.shape;
    const expected = { A: [rank, width], B: [out, rank], magnitude: [out], bias: [out] };
    for (const [name, tensor] of Object.entries({ A: a, B: b, magnitude, bias })) {
      const shape = expected[name as keyof typeof expected];
      if (!tensor || tensor.shape.join() === shape.join()) continue;
      throw new RangeError(
        `Cannot attach ${folder}: found ${name} [${tensor.shape.join(", ")}] of ${module}, expected [${
          shape.join(", ")
        }], as this layer of ${model.source.name} is [${out}, ${width}]`,
      );
    }
  }
}

/** Attaches an adapter and fills it; where that throws, it is freed, and what was attached before is back. */
export async function attachFilled(
  model: Model,
  options: AttachOptions,
  fill: (adapter: Adapter) => void | Promise<void>,
): Promise<Adapter> {
  const { changes } = model;
  const adapter = await attach(model, options);
  try {
    await fill(adapter);
    return adapter;
  } catch (error) {
    adapter[Symbol.dispose]();
    model.changes = changes;
    throw error;
  }
}
