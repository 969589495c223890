import { linearRule } from "../autograd/linear.ts";
import { Tape } from "../autograd/tape.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { type Changes, decode } from "../nn/decoder.ts";
import type { Model } from "../nn/model.ts";
import { type TokenBatch, uploadBatch } from "../nn/score.ts";

/** Rows that go into layers. */
export interface LayerInput {
  /** The layers that share them, in the order of the forward pass. */
  readonly modules: readonly string[];
  /** Features of a row. */
  readonly width: number;
  /** A row for each token that another is predicted from, row-major f32 `[rows, in]`. */
  readonly rows: Float32Array;
}

/**
 * What goes into the linear layers called `modules` of the base on `batch`, one entry for layers of the same input.
 *
 * Takes the activations of a forward pass on the device, and one input at a time on the host.
 */
export async function* layerInputs(
  model: Model,
  modules: ReadonlySet<string>,
  batch: TokenBatch,
): AsyncGenerator<LayerInput> {
  const { gpu } = model;
  const inputs = new Map<Tensor, string[]>();
  const changes: Changes = {
    weight: () => undefined,
    branch: () => undefined,
    layer: (module) =>
      modules.has(module)
        ? {
          apply(tape, x, w) {
            if (!inputs.has(x.value)) inputs.set(gpu.keep(tape.keep(x)), []);
            inputs.get(x.value)!.push(module);
            return tape.apply(linearRule, [x, w], {})[0];
          },
        }
        : undefined,
  };
  gpu.scope(() => {
    using tape = new Tape(gpu, { gradients: false });
    decode(tape, model, uploadBatch(model, batch), changes);
  });
  const counts = [...batch.targets.keys()].filter((i) => batch.targets[i] >= 0);
  try {
    for (const [input, modules] of inputs) {
      const width = input.shape[1];
      const values = await gpu.read(input);
      const rows = new Float32Array(counts.length * width);
      counts.forEach((i, at) => rows.set(values.subarray(i * width, (i + 1) * width), at * width));
      yield { modules, width, rows };
    }
  } finally {
    for (const input of inputs.keys()) input.dispose();
  }
}
