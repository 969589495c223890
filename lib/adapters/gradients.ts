import { parameter, Tape } from "../autograd/tape.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Changes } from "../nn/decoder.ts";
import { negativeLogLikelihood, uploadBatch } from "../nn/score.ts";
import type { StartContext, Target } from "./method.ts";

/**
 * The gradient of the loss by the weight of each target, at the base, f32 `[out, in]`: the mean over batches of
 * the gradient of each batch's mean nats per predicted token; batches that predict none do not count. What is
 * attached to the model does not count, and no weight is copied.
 *
 * Layers are made again in the backward pass, so that beside the gradients it takes about the activations of one.
 *
 * @returns Gradients in the order of `targets`; the caller disposes them.
 */
export function weightGradients(targets: readonly Target[], { model, batches }: StartContext): Tensor[] {
  const { gpu } = model;
  const sums = targets.map(({ w }) => gpu.keep(gpu.tensor(w.shape)));
  for (const sum of sums) gpu.clear(sum);
  const trained = new Map(targets.map(({ module, w }, i) => [`${module}.weight`, parameter(w, sums[i])]));
  const changes: Changes = { weight: (name) => trained.get(name), branch: () => undefined };
  const counted = batches.map((batch) => ({
    batch,
    count: batch.targets.reduce((sum, target) => sum + Number(target >= 0), 0),
  })).filter(({ count }) => count > 0);
  for (const { batch, count } of counted) {
    gpu.scope(() => {
      const uploaded = uploadBatch(model, batch, changes);
      using tape = new Tape(gpu);
      const scale = 1 / (counted.length * count);
      tape.backward(negativeLogLikelihood(tape, model, uploaded, { scale, changes, recompute: true }));
    });
    gpu.flush();
  }
  return sums;
}
