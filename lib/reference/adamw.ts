import { checkLengths } from "./check.ts";

/** A parameter array and AdamW's memory of it, all of one length. */
export interface AdamwState {
  /** Parameters. */
  parameters: Float64Array;
  /** Running mean of the gradient, zeros before the first step. */
  m: Float64Array;
  /** Running mean of the squared gradient, zeros before the first step. */
  v: Float64Array;
}

/** Settings of one update. */
export interface AdamwOptions {
  /** Step size. */
  learningRate: number;
  /** Number of this update, from 1. */
  step: number;
  /** Decay of `m`, 0.9 unless given. */
  beta1?: number;
  /** Decay of `v`, 0.999 unless given. */
  beta2?: number;
  /** Added to the root of the bias-corrected v, 1e-8 unless given. */
  eps?: number;
  /** Decoupled decay, times the learning rate; 0 unless given. */
  weightDecay?: number;
}

/**
 * One AdamW update, as PyTorch computes it:
 *
 * θ ← θ (1 − lr λ); m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²;
 * θ ← θ − lr m̂ / (√v̂ + eps), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).
 *
 * Source: Loshchilov and Hutter 2019, arXiv:1711.05101v3, algorithm 2, with the schedule multiplier in lr, so that
 * lr multiplies the decay too (PyTorch's form).
 *
 * @returns The new state; the input is left as it is.
 */
export function adamw(state: AdamwState, gradient: Float64Array, options: AdamwOptions): AdamwState {
  const { learningRate, step, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = options;
  const { parameters, m, v } = state;
  checkLengths("adamw", { n: parameters.length }, { "m [n]": m, "v [n]": v, "gradient [n]": gradient });
  const newM = m.map((mean, i) => beta1 * mean + (1 - beta1) * gradient[i]);
  const newV = v.map((square, i) => beta2 * square + (1 - beta2) * gradient[i] ** 2);
  const decay = 1 - learningRate * weightDecay;
  return {
    parameters: parameters.map((value, i) => {
      const mean = newM[i] / (1 - beta1 ** step);
      const square = newV[i] / (1 - beta2 ** step);
      return value * decay - learningRate * mean / (Math.sqrt(square) + eps);
    }),
    m: newM,
    v: newV,
  };
}

/** Euclidean norm of all `gradients` together. */
export function globalNorm(gradients: Iterable<Float64Array>): number {
  let squares = 0;
  for (const gradient of gradients) {
    for (const value of gradient) squares += value * value;
  }
  return Math.sqrt(squares);
}

/**
 * Factor that brings gradients of global norm `norm` down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as
 * PyTorch's `clip_grad_norm_`; 1 where `maxNorm` is 0 (no clipping).
 */
export function clipFactor(norm: number, maxNorm: number): number {
  return maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}
