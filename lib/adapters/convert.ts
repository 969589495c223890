import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { PeftAdapter, PeftConfig, PeftFactors } from "../io/peft_format.ts";
import { Model } from "../nn/model.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import type { Adapter } from "./adapter.ts";

/** B A − B₀ A₀ as one product of rank 2 r: `[B, B₀]` and `[A; −A₀]`, which holds the same numbers. */
export function joined(now: PeftFactors, before: PeftFactors): PeftFactors {
  const negative = hostTensor(before.a.shape, toFloat32(before.a).map((x) => -x));
  return sideBySide(now, { a: negative, b: before.b });
}

/**
 * The same product as (B − B₀) A + B₀ (A − A₀): `[B − B₀, B₀]` and `[A; A − A₀]`. Each term is small as the change is, so
 * rounding the factors to half floats costs a part of the change, where in `joined` it costs a part of B₀ A₀.
 */
export function moved(now: PeftFactors, before: PeftFactors): PeftFactors {
  return sideBySide(
    { a: now.a, b: difference(now.b, before.b) },
    { a: difference(now.a, before.a), b: before.b },
  );
}

function sideBySide(first: PeftFactors, second: PeftFactors): PeftFactors {
  const [a, b, a2, b2] = [first.a, first.b, second.a, second.b].map(toFloat32);
  const [out, rank] = first.b.shape;
  const right = new Float32Array(2 * a.length);
  right.set(a);
  right.set(a2, a.length);
  const left = new Float32Array(2 * b.length);
  for (let i = 0; i < out; i++) {
    left.set(b.subarray(i * rank, (i + 1) * rank), 2 * i * rank);
    left.set(b2.subarray(i * rank, (i + 1) * rank), (2 * i + 1) * rank);
  }
  return { a: hostTensor([2 * rank, first.a.shape[1]], right), b: hostTensor([out, 2 * rank], left) };
}

/**
 * The same function as plain LoRA on the untouched base: s (B A − B₀ A₀) by factors of rank 2 r, or of rank r where one
 * factor has stayed what it was bit for bit, as with `freeze`: B (A − A₀) or (B − B₀) A.
 *
 * Ranks and α that differ between modules are doubled likewise; with `rsLora` α grows by √2. Magnitudes stay what they are,
 * and make of it DoRA of the untouched base.
 *
 * Source: PEFT's conversion of OLoRA and PiSSA to LoRA, which loses magnitudes; rank r for a frozen factor is our own.
 *
 * @param adapter A and B as they are now.
 * @param start A₀ and B₀, by the same modules.
 * @param product How both products become one: `joined`, whose factors are the adapter's own numbers, or `moved`.
 * @throws {RangeError} If a module has no start.
 */
export function toPlainLora(
  adapter: PeftAdapter,
  start: PeftAdapter["factors"],
  product: (now: PeftFactors, before: PeftFactors) => PeftFactors = joined,
): PeftAdapter {
  const { config, factors } = adapter;
  for (const module of factors.keys()) {
    if (!start.has(module)) {
      throw new RangeError(`Cannot convert ${module}: found no starting factors, expected A₀ and B₀`);
    }
  }
  const pairs = [...factors].map(([module, now]) => ({ module, now, before: start.get(module)! }));
  const isFrozen = (factor: "a" | "b") =>
    pairs.every(({ now, before }) => sameNumbers(now[factor], before[factor]));
  const plain = (made: (now: PeftFactors, before: PeftFactors) => PeftFactors) =>
    new Map(pairs.map(({ module, now, before }) => {
      const { magnitude } = now;
      return [module, { ...made(now, before), ...(magnitude && { magnitude }) }];
    }));
  const same = { ...config, init: true };
  if (isFrozen("b")) {
    return {
      ...adapter,
      config: same,
      factors: plain((now, before) => ({ a: difference(now.a, before.a), b: now.b })),
    };
  }
  if (isFrozen("a")) {
    return {
      ...adapter,
      config: same,
      factors: plain((now, before) => ({ a: now.a, b: difference(now.b, before.b) })),
    };
  }
  return { ...adapter, config: doubled(config), factors: plain(product) };
}

/** The settings of an adapter of twice the rank and the same scale. */
function doubled(config: PeftConfig): PeftConfig {
  const { rank, alpha, rsLora, rankPattern, alphaPattern } = config;
  const times = (factor: number, pattern: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(pattern).map(([key, value]) => [key, factor * value]));
  const growth = rsLora ? Math.SQRT2 : 2;
  return {
    ...config,
    rank: 2 * rank,
    alpha: growth * alpha,
    rankPattern: times(2, rankPattern),
    alphaPattern: times(growth, alphaPattern),
    init: true,
  };
}

/**
 * The paper's own form: a copy of the base whose adapted weights are W − s B₀ A₀ in f32, on which A and B are plain LoRA.
 *
 * Source: Büyükakyüz 2024, arXiv:2406.01775v2; the author's code in PEFT.
 *
 * @returns The model, which the caller frees; nothing is attached to it.
 */
export function residualModel({ model: base, branches }: Adapter): Model {
  const { gpu } = base;
  const weights = new Map<string, Tensor>();
  for (const [name, weight] of base.weights) {
    const { scale = 0, start } = branches.get(name.replace(/\.weight$/, "")) ?? {};
    const copy = gpu.keep(
      start ? effectiveWeight(gpu, weight, { scale, start }) : gpu.tensor(weight.shape, weight.dtype),
    );
    if (!start) gpu.copy(weight, copy);
    weights.set(name, copy);
  }
  return new Model(gpu, base.source, base.config, base.tokenizer, weights);
}

function sameNumbers(x: HostTensor, y: HostTensor): boolean {
  const [a, b] = [x, y].map(toFloat32);
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function difference(x: HostTensor, y: HostTensor): HostTensor {
  const other = toFloat32(y);
  return hostTensor(x.shape, toFloat32(x).map((value, i) => value - other[i]));
}
