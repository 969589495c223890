import { hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { quantize, type QuantizedDType } from "../core/quantize.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { PeftFactors } from "../io/peft_format.ts";
import { type Svd, svd } from "../linalg/svd.ts";
import type { Model } from "../nn/model.ts";
import { quantizeModel } from "../nn/quantize.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import type { Adapter, AdapterBranch } from "./adapter.ts";
import { attach, type AttachOptions } from "./attach.ts";
import { findMethod, trainsMagnitude } from "./methods.ts";
import { balancedOnHost } from "./singular.ts";

/** Options of `attachQuantized`. */
export interface QuantizedOptions
  extends Omit<AttachOptions, "init" | "weights" | "freeze" | "keep" | "subtract"> {
  /** What the base's linear layers are quantised to. */
  dtype: QuantizedDType;
  /** Any method of `attach`, or "loftq". */
  method?: string;
  /** The base's `source.name`; default what it is. */
  name?: string;
  /** loftq: rounds T of quantising and decomposing, default 1; pissa: its own. */
  iterations?: number;
}

/** An adapter and the quantised model it sits on; the caller frees both. */
export interface QuantizedAdapter {
  /** The base. */
  readonly model: Model;
  /** What is trained, attached to it. */
  readonly adapter: Adapter;
}

/** Whether `attachQuantized` takes what the method starts with out of the base before that is quantised. */
export function startsInBase(method: string): boolean {
  return method === "loftq" || (method !== "full" && !findMethod(method).startsAtZero);
}

/**
 * An adapter on a quantised copy of `model`, W̃ = Q + s B A, whose start is meant to make good what quantising loses:
 *
 * - a method that starts away from zero (olora, pissa, milora): Q = quant(W − s B₀ A₀), and nothing is subtracted, so
 *   quantising has less to round; `attach` on `quantizeModel(model)` would have the error of plain quantisation instead,
 *   whatever the start.
 * - "loftq": T rounds of Q = quant(W − s B A), s B A = the r largest singular triplets of W − Q.
 * - a method that starts at zero (lora, dora, …) or has no factors: Q = quant(W), its QLoRA.
 *
 * Of the first two kinds the adapter is a plain "lora" (with `magnitude` a "dora") that starts at those factors, and fits no other base: to keep it,
 * write the base with `saveModel`. Layers that are not targets are quantised as they are.
 *
 * Source: the residual form: PEFT's tests of OLoRA, and Meng et al. 2024, arXiv:2404.02948, §4 (QPiSSA). LoftQ: Li et al.
 * 2023, arXiv:2310.08659v4, algorithm 1, as PEFT's `loftq_init` has it: T = 1 by default, singular values shared evenly.
 * Deviations from PEFT: the factors are divided by s = α / r, which PEFT leaves out (its W̃ is Q + B A only where s = 1);
 * NF4's absmaxes are quantised a second time, as they are in the base that is trained on, where PEFT decomposes what is
 * lost without that; decomposed in float64.
 *
 * @param model In f32, f16 or bf16; it and what is attached to it are left as they are.
 * @throws {RangeError} As `attach` and `quantizeModel` do.
 * @throws {TypeError} If the model is quantised already.
 */
export async function attachQuantized(model: Model, options: QuantizedOptions): Promise<QuantizedAdapter> {
  const { dtype, method = "olora", iterations, name, ...settings } = options;
  if (method === "full") {
    throw new RangeError(
      `Cannot attach method full on a base in ${dtype}: expected a method with an adapter, as it trains the weights themselves`,
    );
  }
  const isLoftq = method === "loftq";
  const rounds = iterations ?? 1;
  if (isLoftq && !(Number.isSafeInteger(rounds) && rounds >= 1)) {
    throw new RangeError(`Cannot start loftq with iterations ${iterations}: expected a whole number >= 1`);
  }
  const own = { ...settings, method, ...(iterations !== undefined && { iterations }) };
  if (!startsInBase(method)) {
    const quantized = await quantizeModel(model, dtype, { name });
    return await attached(quantized, own);
  }
  const before = model.changes;
  try {
    using start = await attach(model, isLoftq ? { ...settings, method: "lora" } : own);
    const factors = new Map<string, PeftFactors>();
    const instead = new Map<string, Float32Array>();
    for (const [module, branch] of start.branches) {
      const made = isLoftq
        ? await loftq(model, module, branch, { dtype, rounds })
        : await residual(model, module, branch);
      factors.set(module, made.factors);
      instead.set(module, made.rest);
    }
    const { rank, alpha, dropout, seed, rankPattern, alphaPattern } = start.config;
    const made = name ?? `${model.source.name} less the start of ${method}, in ${dtype}`;
    const plain = trainsMagnitude(start.config) ? "dora" : "lora";
    return await attached(await quantizeModel(model, dtype, { instead, name: made }), {
      ...{ method: plain, rank, alpha, dropout, seed, init: factors, targets: [...factors.keys()] },
      ...(rankPattern && { rankPattern }),
      ...(alphaPattern && { alphaPattern }),
    });
  } finally {
    model.changes = before;
  }
}

async function attached(model: Model, options: AttachOptions): Promise<QuantizedAdapter> {
  try {
    return { model, adapter: await attach(model, options) };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** Decompositions of W − quant(W), by the weight and the format: every rank starts from the same. */
const losses = new WeakMap<Tensor, Map<QuantizedDType, Svd>>();

function firstLoss(weight: Tensor, dtype: QuantizedDType, lost: () => Float64Array): Svd {
  const [m, n] = weight.shape;
  const known = losses.get(weight) ?? new Map<QuantizedDType, Svd>();
  losses.set(weight, known);
  if (!known.has(dtype)) known.set(dtype, svd(lost(), { m, n }));
  return known.get(dtype)!;
}

function difference(x: Float32Array, y: Float32Array): Float64Array {
  return Float64Array.from(x, (value, i) => value - y[i]);
}

/** What one layer trains from, and what of W is quantised beside it, f32 `[out, in]`. */
interface LayerStart {
  readonly factors: PeftFactors;
  readonly rest: Float32Array;
}

/** A₀, B₀ and W − s B₀ A₀. */
async function residual(model: Model, module: string, branch: AdapterBranch): Promise<LayerStart> {
  const { gpu } = model;
  const { scale, start } = branch;
  using rest = effectiveWeight(gpu, model.weights.get(`${module}.weight`)!, { scale, start });
  const { a, b } = start!;
  return {
    factors: { a: hostTensor(a.shape, await gpu.read(a)), b: hostTensor(b.shape, await gpu.read(b)) },
    rest: await gpu.read(rest),
  };
}

/** A and B of the last round, and the W − s B A of the round before, whose quantisation they make good; float64 sums. */
async function loftq(
  model: Model,
  module: string,
  { a, scale }: AdapterBranch,
  { dtype, rounds }: { dtype: QuantizedDType; rounds: number },
): Promise<LayerStart> {
  const weight = model.weights.get(`${module}.weight`)!;
  const w = await model.gpu.read(weight);
  const [out, width] = weight.shape;
  const rank = a.value.shape[0];
  let rest = w;
  for (let round = 1;; round++) {
    const q = toFloat32(quantize(module, [out, width], rest, dtype));
    const lost = round === 1
      ? firstLoss(weight, dtype, () => difference(w, q))
      : svd(difference(w, q), { m: out, n: width });
    const config = { method: "loftq", rank, alpha: scale * rank };
    const { a, b } = balancedOnHost(lost, { out, in: width }, config);
    if (round === rounds) {
      return { factors: { a: hostTensor([rank, width], a), b: hostTensor([out, rank], b) }, rest };
    }
    rest = w.map((x, at) => {
      const [i, j] = [Math.floor(at / width), at % width];
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += b[i * rank + k] * a[k * width + j];
      return x - scale * sum;
    });
  }
}
