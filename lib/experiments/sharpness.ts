import type { Adapter } from "../adapters/adapter.ts";
import { Tape } from "../autograd/tape.ts";
import { Rng } from "../core/rng.ts";
import { type LanczosOptions, largestEigenvalue } from "../linalg/lanczos.ts";
import { negativeLogLikelihood, type TokenBatch, uploadBatch } from "../nn/score.ts";

/** The largest eigenvalue of a Hessian, and how sure it is. */
export interface Sharpness {
  /** The eigenvalue, in nats over the square of a parameter; preconditioned, over a parameter. */
  readonly value: number;
  /** Products with the Hessian, of two gradients each. */
  readonly iterations: number;
  /** ‖H x − λ x‖ / |λ|. */
  readonly residual: number;
  /** Parameters that the Hessian is over. */
  readonly parameters: number;
}

/** Options of `sharpness`. */
export interface SharpnessOptions extends LanczosOptions {
  /** "adam" for D^(−1/2) H D^(−1/2) with Adam's D = √v̂ + eps; default "none", H itself. */
  preconditioner?: "none" | "adam";
  /** Adam's eps. Default 1e-8. */
  eps?: number;
  /** Seed of the vector that the iteration starts from. Default 0. */
  seed?: number;
}

type CountedBatch = TokenBatch & { readonly count: number };

/** A step of the differences changes no parameter vector by more than this share of its length … */
const SHARE = 2 ** -8;

/** … and, along the sharpest direction met so far, the loss by no more than half the square of this, in nats. */
const CHANGE = 2 ** -8;

/**
 * Sharpness: the largest eigenvalue of the Hessian of the mean loss over `batches` with respect to an adapter's
 * parameters where they are, without dropout. Gradient descent of rate η is stable while it is below 2 / η; Adam while
 * that of the preconditioned Hessian is below (2 + 2 β₁) / ((1 − β₁) η), which is 38 / η for β₁ = 0.9.
 *
 * Products with the Hessian are central differences of f32 gradients, so a value is sure to some 1e-3 of itself; all else
 * is float64 on the host, which holds a vector of 8 bytes a parameter for each product. Parameters are put back bit for
 * bit, and gradients are zero afterwards. Deterministic on one device.
 *
 * Adam's v̂ is the mean over the batches, one gradient each, of squared gradients: what its running mean tends to while
 * parameters stand still. A parameter whose gradient is zero on all batches is left out, as Adam does not move it: so A
 * of an adapter whose B is zero.
 *
 * Source: Cohen et al. 2021, arXiv:2103.00065 (sharpness and 2 / η); Cohen et al. 2022, arXiv:2207.14484 (the
 * preconditioned Hessian and 38 / η; P⁻¹ H there has the eigenvalues of the symmetric form here). The eigenvalue by
 * `largestEigenvalue`.
 *
 * @param adapter Attached or not.
 * @throws {RangeError} If nothing is predicted, a gradient is not finite or all are zero, or an option makes no sense.
 */
export async function sharpness(
  adapter: Adapter,
  batches: Iterable<TokenBatch & { readonly count: number }>,
  options: SharpnessOptions = {},
): Promise<Sharpness> {
  const { preconditioner = "none", eps = 1e-8, seed = 0 } = options;
  const all = [...batches];
  if (!all.some(({ count }) => count > 0)) refuse("these batches", "at least one predicted token");
  if (!(eps >= 0)) refuse(`eps ${eps}`, "a number >= 0");
  const { parameters, model: { gpu } } = adapter;
  const initial = await gpu.read(parameters.data);
  try {
    const roots = preconditioner === "adam"
      ? await adamRoots(adapter, all, eps)
      : Float64Array.from(initial, () => 1);
    const multiply = hessian(adapter, all, Float64Array.from(initial));
    const rng = new Rng(seed, "sharpness");
    const start = new Float64Array(initial.length);
    let count = 0;
    for (const name of parameters.names) {
      const { value } = parameters.get(name)!;
      const first = (value.offset - parameters.data.offset) / 4;
      for (let i = first; i < first + value.size; i++) {
        start[i] = roots[i] && rng.normal();
        count += Number(roots[i] > 0);
      }
    }
    if (!count) refuse("these batches", "a gradient that is not zero");
    const scaled = (x: Float64Array) => x.map((value, i) => value * roots[i]);
    const { value, iterations, residual } = await largestEigenvalue(
      async (x) => scaled(await multiply(scaled(x))),
      start,
      options,
    );
    return { value, iterations, residual, parameters: count };
  } finally {
    gpu.write(parameters.data, initial);
    gpu.clear(parameters.gradient);
    gpu.flush();
  }
}

/** D^(−1/2) of each parameter where it is now; 0 where no batch has a gradient. */
async function adamRoots(
  adapter: Adapter,
  batches: readonly CountedBatch[],
  eps: number,
): Promise<Float64Array> {
  const predicting = batches.filter(({ count }) => count > 0);
  const squares = new Float64Array(adapter.parameters.data.size);
  for (const batch of predicting) {
    const gradient = await gradientOf(adapter, [batch]);
    gradient.forEach((g, i) => squares[i] += g * g / predicting.length);
  }
  return squares.map((square) => square && 1 / Math.sqrt(Math.sqrt(square) + eps));
}

/** The product of the Hessian at `point` with a vector. */
function hessian(adapter: Adapter, batches: readonly CountedBatch[], point: Float64Array) {
  const { parameters, model: { gpu } } = adapter;
  const reach = SHARE * (norm(point) || 1);
  let sharpest = 0;
  const gradientAt = async (x: Float64Array, step: number) => {
    gpu.write(parameters.data, Float32Array.from(point, (value, i) => value + step * x[i]));
    return await gradientOf(adapter, batches);
  };
  return async (x: Float64Array): Promise<Float64Array> => {
    const size = norm(x);
    const step = Math.min(reach, CHANGE / Math.sqrt(sharpest)) / size;
    const [ahead, behind] = [await gradientAt(x, step), await gradientAt(x, -step)];
    const y = ahead.map((g, i) => (g - behind[i]) / (2 * step));
    sharpest = Math.max(sharpest, norm(y) / size);
    return y;
  };
}

/** Gradient of the mean loss over `batches`, laid out as the arena is. */
async function gradientOf(adapter: Adapter, batches: readonly CountedBatch[]): Promise<Float64Array> {
  const { parameters, model } = adapter;
  const { gpu } = model;
  const scale = 1 / batches.reduce((sum, { count }) => sum + count, 0);
  gpu.clear(parameters.gradient);
  for (const batch of batches) {
    gpu.scope(() => {
      using tape = new Tape(gpu);
      const uploaded = uploadBatch(model, batch, adapter);
      tape.backward(negativeLogLikelihood(tape, model, uploaded, { scale, changes: adapter }));
    });
    gpu.flush();
  }
  return Float64Array.from(await gpu.read(parameters.gradient));
}

function norm(x: Float64Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}

function refuse(what: string, expected: string): never {
  throw new RangeError(`Cannot compute sharpness with ${what}: expected ${expected}`);
}
