/** One backward pass of a model all of whose weights are trained. */
import { attach } from "../../lib/adapters/attach.ts";
import { Tape } from "../../lib/autograd/tape.ts";
import type { Model } from "../../lib/nn/model.ts";
import { negativeLogLikelihood, padded, uploadBatch } from "../../lib/nn/score.ts";
import { globalNorm } from "../../lib/reference/adamw.ts";

/** Norm of the gradient of the mean nats of `rows`, all of one length, for each weight. */
export async function gradientNorms(
  model: Model,
  rows: readonly (readonly number[])[],
): Promise<Record<string, number>> {
  const { gpu } = model;
  using adapter = await attach(model, { method: "full" });
  const t = rows[0].length - 1;
  gpu.scope(() => {
    const batch = uploadBatch(model, padded(rows, t), adapter);
    using tape = new Tape(gpu);
    const options = { changes: adapter, scale: 1 / (rows.length * t) };
    tape.backward(negativeLogLikelihood(tape, model, batch, options));
  });
  const norms: Record<string, number> = {};
  for (const name of adapter.parameters.names) {
    const gradient = await gpu.read(adapter.parameters.get(name)!.sink!);
    norms[name] = globalNorm([Float64Array.from(gradient)]);
  }
  return norms;
}
