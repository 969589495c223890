import type { Gpu } from "./gpu.ts";

/** One choice to make: which variant serves `key`, a name that a kernel family looks up in `gpu.variants`. */
export interface Contest {
  /** Entry of `gpu.variants`. */
  readonly key: string;
  /** Variants to try, the default first. */
  readonly candidates: readonly string[];
  /** Records the work to be timed, on tensors made by `gpu.tensor` (which autotune frees). */
  readonly record: (gpu: Gpu) => void;
}

/**
 * Times the candidates of each contest and enters the fastest into `gpu.variants`.
 *
 * Candidates take turns, so that a busy moment hits all of them, and the lowest median counts; a candidate must beat
 * the default by 5 %. Variants sum in different orders, hence the table belongs to a run's identity: call this before
 * a run, never within one, and keep what it returns.
 *
 * Own construction.
 *
 * @param contests E.g. `matmulContests(gpu)`.
 * @param rounds Timings of each candidate, after one that compiles it.
 * @returns The whole table, plain JSON; `restoreVariants` takes it back.
 */
export async function autotune(
  gpu: Gpu,
  contests: readonly Contest[],
  rounds = 5,
): Promise<Record<string, string>> {
  for (const { key, candidates, record } of contests) {
    const before = gpu.variants.get(key);
    const times = new Map<string, number[]>(candidates.map((name) => [name, []]));
    try {
      for (let round = -1; round < rounds; round++) {
        for (const [name, list] of times) {
          gpu.variants.set(key, name);
          const ms = await time(gpu, record);
          if (round >= 0) list.push(ms);
        }
      }
    } catch (error) {
      if (before === undefined) gpu.variants.delete(key);
      else gpu.variants.set(key, before);
      throw error;
    }
    gpu.variants.set(key, fastest(times));
  }
  return variantTable(gpu);
}

/** The variants in use, plain JSON. */
export function variantTable(gpu: Gpu): Record<string, string> {
  return Object.fromEntries([...gpu.variants].sort());
}

/** Puts a table of `autotune` or `variantTable` back in place of the current one. */
export function restoreVariants(gpu: Gpu, table: Readonly<Record<string, string>>): void {
  gpu.variants.clear();
  for (const [key, name] of Object.entries(table)) gpu.variants.set(key, name);
}

/** The first entry, unless another's median is less than 95 % of its. */
export function fastest(times: ReadonlyMap<string, readonly number[]>): string {
  const medians = [...times].map(([name, list]) => ({ name, ms: median(list) }));
  const best = medians.reduce((a, b) => b.ms < a.ms ? b : a);
  return best.ms < 0.95 * medians[0].ms ? best.name : medians[0].name;
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1];
}

async function time(gpu: Gpu, record: (gpu: Gpu) => void): Promise<number> {
  await gpu.settled();
  gpu.scope(() => record(gpu));
  const start = performance.now();
  await gpu.settled();
  return performance.now() - start;
}
