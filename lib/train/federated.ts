import { Adapter, type AdapterBranch } from "../adapters/adapter.ts";
import { combine } from "../adapters/combine.ts";
import { constant } from "../autograd/tape.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Batch } from "../datasets/batches.ts";
import { balanced } from "../linalg/balanced.ts";
import { svdOfProduct } from "../linalg/svd_product.ts";
import { Trainer, type TrainOptions } from "./train.ts";

/** Who takes part in a federated training. */
export interface FederatedClient {
  /** The client's own batches, as many as its updates want. */
  readonly batches: Iterator<Batch>;
  /** Its share of the average, dimensionless; shares are divided by their sum. Default 1, e.g. its rows of data. */
  readonly weight?: number;
}

/** Options of `federated`. */
export interface FederatedOptions extends Omit<TrainOptions, "steps" | "dropoutFrom"> {
  /** Rounds: each client trains from the same start, then all are averaged. */
  readonly rounds: number;
  /** Updates that each client makes in a round. */
  readonly steps: number;
  /**
   * What becomes of the clients' factors: "factors" averages A and B each by itself (FedAvg), "products" takes the r
   * largest singular triplets of the average of B A, the best that the adapter's rank can hold of it. Default "factors".
   */
  readonly average?: "factors" | "products";
}

/** What one round came to. */
export interface FederatedRound {
  /** Number of the round, from 1. */
  readonly round: number;
  /** Mean loss of each client's updates, nats per predicted token. */
  readonly losses: readonly number[];
  /**
   * How far the new adapter is from the exact average of the clients' changes, ‖mean(Bᵢ Aᵢ) − B A‖ over
   * ‖mean(Bᵢ Aᵢ) − B₀ A₀‖ (Frobenius, all layers together), dimensionless: 0 if averaging lost nothing.
   */
  readonly gap: number;
  /**
   * The exact average of the clients' changes: a LoRA of the sum of their ranks (twice that for a start away from zero), made
   * by {@linkcode combine} and attached in place of what is. The caller frees it.
   */
  exact(): Promise<Adapter>;
}

/**
 * Federated averaging of an adapter, the clients simulated one after another on one device: a round starts each of them
 * from the adapter as it is, with an optimiser of its own, and leaves their average in it.
 *
 * The average of the factors is not the average of what they do, as mean(B) mean(A) ≠ mean(B A) unless a factor is frozen;
 * `gap` says by how much in each round, and `exact` gives the latter. Dropout draws other masks for each client and round.
 * Where a client's training fails, as when its data end, the adapter is what it was before the round.
 *
 * Source: McMahan et al. 2017, arXiv:1602.05629, algorithm 1 (average); Sun et al. 2024, arXiv:2403.12313, §3 (what is lost
 * with two trained factors, nothing with one). "products" is our own: the best adapter of rank r in place of the residual
 * that Singhal et al. 2024, arXiv:2410.09432, add to the base.
 *
 * @throws {RangeError} If there are no clients, a weight is not positive, rounds, steps or `average` make no sense, or the
 * adapter is not of two factors.
 */
export async function* federated(
  adapter: Adapter,
  clients: readonly FederatedClient[],
  options: FederatedOptions,
): AsyncGenerator<FederatedRound> {
  const { rounds, steps, average = "factors", ...training } = options;
  const shares = sharesOf(clients);
  checkAdapter(adapter);
  checkOptions({ rounds, steps, average });
  const { gpu } = adapter.model;
  const { data } = adapter.parameters;
  for (let round = 1; round <= rounds; round++) {
    const before = await gpu.read(data);
    const found: Factors[][] = [];
    const losses: number[] = [];
    const mean = new Float64Array(before.length);
    try {
      for (const [i, { batches }] of clients.entries()) {
        gpu.write(data, before);
        const dropoutFrom = ((round - 1) * clients.length + i) * steps;
        losses.push(await trained(adapter, batches, { ...training, steps, dropoutFrom }));
        found.push(await factorsOf(adapter));
        (await gpu.read(data)).forEach((value, at) => mean[at] += shares[i] * value);
      }
    } catch (error) {
      gpu.write(data, before);
      throw error;
    }
    gpu.write(data, Float32Array.from(mean));
    if (average === "products") await writeProducts(adapter, found, shares);
    const gap = await gapOf(adapter, found, shares);
    yield { round, losses, gap, exact: () => exactAverage(adapter, found, shares) };
  }
}

interface Factors {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

function sharesOf(clients: readonly FederatedClient[]): number[] {
  if (!clients.length) throw new RangeError("Cannot average without clients: expected at least one");
  const weights = clients.map(({ weight = 1 }) => weight);
  const bad = weights.find((weight) => !(weight > 0 && weight < Infinity));
  if (bad !== undefined) throw new RangeError(`Cannot average with weight ${bad}: expected a number > 0`);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

function checkAdapter({ branches, parameters, config }: Adapter): void {
  const names = new Set([...branches.keys()].flatMap((module) => [`${module}.a`, `${module}.b`]));
  if (!branches.size || parameters.names.some((name) => !names.has(name))) {
    throw new RangeError(
      `Cannot average an adapter of method ${config.method}: expected one whose factors alone are trained`,
    );
  }
}

function checkOptions(
  { rounds, steps, average }: Pick<FederatedOptions, "rounds" | "steps" | "average">,
): void {
  for (const [name, count] of Object.entries({ rounds, steps })) {
    if (Number.isSafeInteger(count) && count >= 1) continue;
    throw new RangeError(`Cannot average with ${name} ${count}: expected a whole number >= 1`);
  }
  if (average === "factors" || average === "products") return;
  throw new RangeError(
    `Cannot average with average ${JSON.stringify(average)}: expected "factors" or "products"`,
  );
}

async function trained(adapter: Adapter, batches: Iterator<Batch>, options: TrainOptions): Promise<number> {
  using trainer = new Trainer(adapter, batches, options);
  const records = (await Array.fromAsync(trainer.run())).flat();
  return records.reduce((sum, { loss }) => sum + loss, 0) / records.length;
}

async function factorsOf({ model: { gpu }, branches }: Adapter): Promise<Factors[]> {
  const found: Factors[] = [];
  for (const { a, b } of branches.values()) {
    found.push({ a: await gpu.read(a.value), b: await gpu.read(b.value) });
  }
  return found;
}

/** Layer by layer the r largest triplets of Σ shareᵢ Bᵢ Aᵢ, as B = U √S and A = √S Vᵀ. */
async function writeProducts(
  { model: { gpu }, branches, parameters }: Adapter,
  clients: readonly (readonly Factors[])[],
  shares: readonly number[],
): Promise<void> {
  [...branches].forEach(([module, { a, b }], layer) => {
    if (!parameters.get(`${module}.a`) || !parameters.get(`${module}.b`)) return; // the factors' average is exact
    const [r, n] = a.value.shape;
    const [m] = b.value.shape;
    const k = r * clients.length;
    const left = new Float64Array(m * k);
    const right = new Float64Array(k * n);
    clients.forEach((factors, i) => {
      right.set(factors[layer].a, i * r * n);
      for (let row = 0; row < m; row++) {
        for (let j = 0; j < r; j++) left[row * k + i * r + j] = shares[i] * factors[layer].b[row * r + j];
      }
    });
    const factors = balanced(svdOfProduct(left, right, { m, n, k }), { m, n, rank: r });
    gpu.write(a.value, factors.a);
    gpu.write(b.value, factors.b);
  });
  await gpu.settled();
}

/** Σ shareᵢ of the clients' changes as an adapter of its own. */
async function exactAverage(
  { model, config, branches, parameters }: Adapter,
  clients: readonly (readonly Factors[])[],
  shares: readonly number[],
): Promise<Adapter> {
  const { gpu } = model;
  const own: Tensor[] = [];
  const upload = (values: Float32Array, { shape }: Tensor) => {
    own.push(gpu.keep(gpu.upload(values, shape)));
    return constant(own.at(-1)!);
  };
  const each = clients.map((factors) => {
    const trained = [...branches].map(([module, branch], layer): [string, AdapterBranch] => {
      const { a, b } = factors[layer];
      return [module, { ...branch, a: upload(a, branch.a.value), b: upload(b, branch.b.value) }];
    });
    return new Adapter(model, config, parameters, new Map(trained), []);
  });
  try {
    return await combine(each, shares);
  } finally {
    for (const tensor of own) tensor.dispose();
  }
}

async function gapOf(
  adapter: Adapter,
  clients: readonly (readonly Factors[])[],
  shares: readonly number[],
): Promise<number> {
  const { model: { gpu }, branches } = adapter;
  const now = await factorsOf(adapter);
  let lost = 0;
  let moved = 0;
  for (const [layer, { a, b, start }] of [...branches.values()].entries()) {
    const [r, n] = a.value.shape;
    const [m] = b.value.shape;
    const sum = (terms: readonly (readonly [number, Factors])[]) => {
      const total = new Float64Array(m * n);
      for (const [share, { a, b }] of terms) addProduct(total, share, b, a, { m, n, r });
      return total.reduce((sum, value) => sum + value * value, 0);
    };
    const exact = clients.map((factors, i) => [shares[i], factors[layer]] as const);
    lost += sum([...exact, [-1, now[layer]]]);
    moved += sum(
      start ? [...exact, [-1, { a: await gpu.read(start.a), b: await gpu.read(start.b) }]] : exact,
    );
  }
  return moved ? Math.sqrt(lost / moved) : 0;
}

function addProduct(
  into: Float64Array,
  share: number,
  b: Float32Array,
  a: Float32Array,
  { m, n, r }: { m: number; n: number; r: number },
): void {
  for (let i = 0; i < m; i++) {
    for (let l = 0; l < r; l++) {
      const factor = share * b[i * r + l];
      for (let j = 0; j < n; j++) into[i * n + j] += factor * a[l * n + j];
    }
  }
}
