import { type Place, RunIdentities } from "../../lib/experiments/identity.ts";
import type { MeasuredRun } from "../../lib/experiments/measure.ts";

/** Where these rows say that they were made. */
export const PLACE: Place = { device: "imagined", variants: { matmul: "tile" }, version: "0" };

/** A row of the run that has `key` among its {@linkcode RunIdentities}. */
export async function fakeRow(key: string, place: Place = PLACE): Promise<MeasuredRun> {
  const [run] = await new RunIdentities([key]).hashes(place);
  return {
    ...place,
    run,
    config: { model: "tiny", data: key, method: "olora", learningRate: 1, seed: 1 },
    isSoftware: true,
    date: "2000-01-01",
    curve: [],
    final: { validation: 1, test: 1, accuracy: null, forgetting: null },
    trainable: 1,
    deviceBytes: 1,
    initMs: 1,
    secondsPerStep: 0.5,
    diverged: false,
  };
}
