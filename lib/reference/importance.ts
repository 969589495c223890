import { checkLengths } from "./check.ts";

/** Moving averages of a sensitivity and of how far it strays. */
export interface Importance {
  /** Ī, `[n]`. */
  mean: Float64Array;
  /** Ū, `[n]`. */
  uncertainty: Float64Array;
}

/**
 * Ī and Ū after one more gradient g: I = |θ g|, Ī ← β Ī + (1 − β) I, Ū ← β Ū + (1 − β) |I − Ī|.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eqs. (8) to (10).
 */
export function importance(
  parameters: Float64Array,
  gradient: Float64Array,
  before: Importance,
  beta: number,
): Importance {
  const n = parameters.length;
  checkLengths("importance", { n }, {
    "gradient [n]": gradient,
    "mean [n]": before.mean,
    "uncertainty [n]": before.uncertainty,
  });
  const now = parameters.map((value, i) => Math.abs(value * gradient[i]));
  const mean = before.mean.map((value, i) => beta * value + (1 - beta) * now[i]);
  const uncertainty = before.uncertainty.map((value, i) =>
    beta * value + (1 - beta) * Math.abs(now[i] - mean[i])
  );
  return { mean, uncertainty };
}
