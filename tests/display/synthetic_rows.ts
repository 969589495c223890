import { Rng } from "../../lib/core/rng.ts";
import type { RunRow } from "../../lib/display/rows.ts";

/** Shape of a made-up method: where its loss ends, how fast, and around which rate it works best. */
const METHODS = {
  olora: { floor: 2.02, bestRate: 3e-3, speed: 160, trainable: 96_256, bytes: 182e6, initMs: 41 },
  lora: { floor: 2.05, bestRate: 1e-2, speed: 230, trainable: 96_256, bytes: 176e6, initMs: 3 },
  full: { floor: 1.97, bestRate: 1e-3, speed: 190, trainable: 1_050_112, bytes: 214e6, initMs: 0 },
};

/** Learning rates of the made-up grid, half-decades from 1e-5 to 1e-1. */
export const SYNTHETIC_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1];

/**
 * SYNTHETIC run rows, invented to test drawing and arithmetic: nothing in them was measured. Exponential curves
 * from 4.1 nats whose floor and speed depend on the distance to the method's best rate, with seeded noise; runs
 * three steps of the grid above it diverge.
 */
export function syntheticRows(seeds = 5, steps = 2000, every = 25): RunRow[] {
  const rows: RunRow[] = [];
  for (const [method, shape] of Object.entries(METHODS)) {
    for (const rate of SYNTHETIC_RATES) {
      for (let seed = 0; seed < seeds; seed++) {
        rows.push(syntheticRow(method, shape, rate, seed, steps, every));
      }
    }
  }
  return rows;
}

function syntheticRow(
  method: string,
  shape: typeof METHODS.olora,
  learningRate: number,
  seed: number,
  steps: number,
  every: number,
): RunRow {
  const rng = new Rng(seed, `synthetic ${method} ${learningRate}`);
  const decades = Math.log10(learningRate / shape.bestRate);
  const diverged = decades > 1.3;
  const floor = shape.floor + 0.22 * decades ** 2 + 0.03 * rng.normal();
  const speed = shape.speed * 10 ** Math.max(0, -0.8 * decades) * (1 + 0.06 * rng.normal());
  const curve = [];
  for (let step = 0; step <= steps; step += every) {
    if (diverged && step > 150) break;
    const spike = decades > 0.6 ? 0.5 * Math.exp(-(((step - 60) / 40) ** 2)) : 0;
    const noise = step ? 0.008 * rng.normal() : 0;
    curve.push({ step, loss: floor + (4.1 - floor) * Math.exp(-step / speed) + spike + noise });
  }
  const validation = diverged ? null : curve[curve.length - 1].loss + 0.01 * rng.normal();
  return {
    run: `synthetic-${method}-${learningRate}-${seed}`,
    config: { method, learningRate, seed, model: "synthetic", steps },
    device: "synthetic device",
    isSoftware: true,
    curve,
    final: {
      validation,
      test: validation === null ? null : validation + 0.01 * rng.normal(),
      accuracy: validation === null ? null : 0.62 + 0.05 * rng.normal(),
      forgetting: validation === null ? null : 0.18 + 0.02 * rng.normal() + (method === "full" ? 0.3 : 0),
    },
    trainable: shape.trainable,
    deviceBytes: shape.bytes,
    initMs: shape.initMs * (1 + 0.1 * rng.uniform()),
    secondsPerStep: 0.06,
    diverged,
  };
}
