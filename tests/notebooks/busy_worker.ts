/** A training of the same shape as a real one, without a GPU: steps that keep the Worker's thread busy. */
import { serveRun } from "../../lib/train/serve.ts";

export interface BusyConfig {
  readonly steps: number;
  readonly stepMs: number;
  readonly failAt?: number;
}

serveRun(async function* busy({ steps, stepMs, failAt }: BusyConfig, { stopped }) {
  for (let step = 1; step <= steps && !stopped(); step++) {
    const until = performance.now() + stepMs;
    while (performance.now() < until);
    // A training's awaited read gives way to the event loop the same way.
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (step === failAt) throw new RangeError(`Cannot do step ${step}: loss is NaN`);
    yield { step, steps, loss: 4 / Math.sqrt(step), finished: step === steps };
  }
});
