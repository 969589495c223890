import { hostTensor } from "../core/host_tensor.ts";
import type { PeftFactors } from "../io/peft_format.ts";
import { linearModules } from "../io/weights.ts";
import { balanced } from "../linalg/balanced.ts";
import { svdOfProduct } from "../linalg/svd_product.ts";
import type { Adapter, AdapterBranch } from "./adapter.ts";
import { attach } from "./attach.ts";
import { trainsMagnitude } from "./methods.ts";
import { addTaskVectors } from "./task_arithmetic.ts";

/** Options of `combine`. */
export interface CombineOptions {
  /**
   * Most ranks of a layer: the sum of low-rank changes is replaced by its best approximation of that rank, U √S
   * and √S Vᵀ of its largest singular triplets; a layer whose sum has a lower rank keeps it. Default: the exact
   * sum.
   */
  readonly rank?: number;
}

/**
 * A new adapter that changes each weight by Σ wᵢ dWᵢ, the weighted sum of what `adapters` change, attached in
 * place of what is; with weights of 1 they are stacked. None of them is touched, and the new one keeps nothing of
 * theirs.
 *
 * It is a plain LoRA whose factors are theirs side by side, so its rank is the sum of their ranks; an adapter that
 * starts away from zero counts for 2 r, as B A − B₀ A₀ = (B − B₀) A + B₀ (A − A₀), which is zero before it is
 * trained. The scales are in B, and its own is 1. Adapters of full fine-tuning give one of their kind, W + Σ wᵢ
 * (Wᵢ − W).
 *
 * Source: `add_weighted_adapter` of huggingface/peft with `combination_type="cat"`, and with a rank `"svd"`; the
 * terms of the starts are our own. PEFT's `"linear"` is another thing: it adds the factors, (Σ √wᵢ Bᵢ) (Σ √wᵢ Aᵢ),
 * which has the products Bᵢ Aⱼ of different adapters too. With a rank: Eckart and Young 1936, "The approximation
 * of one matrix by another of lower rank". Full fine-tuning: Ilharco et al. 2022, arXiv:2212.04089, §2.
 *
 * @param adapters On one model; a layer that only some of them adapt gets the sum of those.
 * @param weights wᵢ, dimensionless, one for each adapter; default all 1.
 * @throws {RangeError} If there are none, they are of several models or of both kinds, one changes more than
 * low-rank factors can, a weight is no number, or the rank no whole number >= 1.
 */
export async function combine(
  adapters: readonly Adapter[],
  weights: readonly number[] = adapters.map(() => 1),
  { rank: most }: CombineOptions = {},
): Promise<Adapter> {
  check(adapters, weights, most);
  if (adapters[0].config.method === "full") return await addTaskVectors(adapters, weights);
  const [{ model }] = adapters;
  const factors = new Map<string, PeftFactors>();
  const ranks: Record<string, number> = {};
  for (const [module, { out: m, in: n }] of linearModules(model.config)) {
    const parts: { a: Float32Array; b: Float32Array; rank: number }[] = [];
    for (const [i, adapter] of adapters.entries()) {
      const branch = adapter.branches.get(module);
      if (branch) parts.push(...await partsOf(adapter, branch, weights[i]));
    }
    if (!parts.length) continue;
    const k = parts.reduce((sum, part) => sum + part.rank, 0);
    const [a, b] = [parts.flatMap(({ a }) => [...a]), sideBySide(parts, m)];
    const rank = most === undefined ? k : Math.min(most, k, m, n);
    const kept = most === undefined ? { a, b } : balanced(svdOfProduct(b, a, { m, n, k }), { m, n, rank });
    ranks[module.replaceAll(".", "\\.")] = rank;
    factors.set(module, { a: hostTensor([rank, n], kept.a), b: hostTensor([m, rank], kept.b) });
  }
  const rank = Math.max(...Object.values(ranks));
  const others = Object.fromEntries(Object.entries(ranks).filter(([, found]) => found !== rank));
  return await attach(model, {
    method: "lora",
    rank,
    targets: [...factors.keys()],
    ...(Object.keys(others).length && { rankPattern: others, alphaPattern: others }),
    init: factors,
  });
}

function check(adapters: readonly Adapter[], weights: readonly number[], rank: number | undefined): void {
  const fail = (found: string, expected: string): never => {
    throw new RangeError(`Cannot combine ${found}: expected ${expected}`);
  };
  if (!adapters.length) fail("no adapters", "at least one");
  if (weights.length !== adapters.length || !weights.every(Number.isFinite)) {
    fail(`${adapters.length} adapters with weights ${JSON.stringify(weights)}`, "one number for each");
  }
  if (rank !== undefined && !(Number.isSafeInteger(rank) && rank >= 1)) {
    fail(`adapters to rank ${rank}`, "a whole number >= 1");
  }
  if (adapters.some(({ model }) => model !== adapters[0].model)) {
    fail("adapters of several models", "one model");
  }
  const full = adapters.filter(({ config }) => config.method === "full").length;
  if (full && full < adapters.length) {
    fail("full fine-tuning with low-rank adapters", "adapters of one kind");
  }
  if (full && rank !== undefined) {
    fail(`full fine-tuning to rank ${rank}`, "no rank, as whole weights are kept");
  }
  const other = adapters.find(({ branches, config }) => !branches.size && config.method !== "full");
  if (other) fail(`an adapter of method ${other.config.method}`, "low-rank adapters");
  if (adapters.some(({ config }) => trainsMagnitude(config))) {
    fail("an adapter with a magnitude", "adapters that are added to the base, as its rows are scaled");
  }
  if (!full && adapters.some((adapter) => adapter.wholeWeights.length || hasBias(adapter))) {
    fail("an adapter with weights or biases of its own", "adapters of low-rank factors alone");
  }
}

function hasBias({ branches }: Adapter): boolean {
  return [...branches.values()].some(({ bias }) => bias);
}

/** w s dW as one product, or as two where the branch starts away from zero. */
async function partsOf({ model: { gpu } }: Adapter, branch: AdapterBranch, weight: number) {
  const [a, b] = [await gpu.read(branch.a.value), await gpu.read(branch.b.value)];
  const [rank] = branch.a.value.shape;
  const scaled = (x: Float32Array) => x.map((value) => weight * branch.scale * value);
  if (!branch.start) return [{ a, b: scaled(b), rank }];
  const [a0, b0] = [await gpu.read(branch.start.a), await gpu.read(branch.start.b)];
  return [
    { a, b: scaled(b.map((value, i) => value - b0[i])), rank },
    { a: a.map((value, i) => value - a0[i]), b: scaled(b0), rank },
  ];
}

/** The matrices b, `[out, rank]` each, as one with their columns in turn. */
function sideBySide(parts: readonly { b: Float32Array; rank: number }[], out: number): Float32Array {
  const width = parts.reduce((sum, { rank }) => sum + rank, 0);
  const joined = new Float32Array(out * width);
  for (let i = 0; i < out; i++) {
    let at = i * width;
    for (const { b, rank } of parts) {
      joined.set(b.subarray(i * rank, (i + 1) * rank), at);
      at += rank;
    }
  }
  return joined;
}
