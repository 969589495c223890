import type { RunRow } from "../../lib/display/rows.ts";

/** What a made-up row may say; losses are nats per token, and validation is the test loss where it is not given. */
export interface MadeRow {
  readonly method: string;
  readonly test: number;
  readonly rate?: number;
  readonly seed?: number;
  readonly validation?: number;
  readonly start?: number;
  readonly trainable?: number;
  readonly bytes?: number;
  readonly device?: string;
  readonly diverged?: boolean;
  readonly config?: Record<string, unknown>;
}

/** SYNTHETIC run row, invented to test arithmetic: nothing in it was measured. */
export function makeRow(made: MadeRow): RunRow {
  const { method, test, rate = 1e-3, seed = 1, validation = test, start = 2, config } = made;
  return {
    run: JSON.stringify(made),
    config: { method, learningRate: rate, seed, model: "synthetic", rank: 8, ...config },
    device: made.device ?? "synthetic device",
    isSoftware: true,
    curve: [{ step: 0, loss: start }, { step: 10, loss: test }],
    final: { validation, test, forgetting: 0.1 },
    trainable: made.trainable ?? 100,
    deviceBytes: made.bytes ?? 1e6,
    initMs: 1,
    diverged: made.diverged ?? false,
  };
}

/** One row for each of `losses`, with seeds 1, 2, … */
export function makeRows(losses: readonly number[], made: Omit<MadeRow, "test">): RunRow[] {
  return losses.map((test, i) => makeRow({ ...made, test, seed: i + 1 }));
}

/** Rows that look for a rate: `best` has the loss `test`, two rates on either side of it a higher one. */
export function makeSearch(made: MadeRow & { readonly best: number }): RunRow[] {
  return [-2, -1, 0, 1, 2].map((step) =>
    makeRow({ ...made, rate: made.best * 10 ** (step / 2), test: made.test + 0.1 * Math.abs(step) })
  );
}
