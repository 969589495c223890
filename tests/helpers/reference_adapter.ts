/** An adapter on the device, read back for the float64 decoder. */
import type { Adapter } from "../../lib/adapters/adapter.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import type { Adapters } from "../../lib/reference/decoder.ts";

/** The branches of `adapter` as they are now. */
export async function referenceAdapters(adapter: Adapter): Promise<Adapters> {
  const double = async (tensor: Tensor) => Float64Array.from(await adapter.model.gpu.read(tensor));
  const found: Adapters = {};
  for (const [module, { a, b, start, magnitude }] of adapter.branches) {
    found[module] = {
      rank: a.value.shape[0],
      scale: adapter.branch(module)!.scale,
      a: await double(a.value),
      b: await double(b.value),
      ...(magnitude && { magnitude: await double(magnitude.value) }),
      ...(start && { a0: await double(start.a), b0: await double(start.b) }),
    };
  }
  return found;
}
