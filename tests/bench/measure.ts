import type { Gpu } from "../../lib/gpu/gpu.ts";

/** One line of the bench. */
export interface BenchRow {
  /** Name of the kernel. */
  kernel: string;
  /** What was computed, for people. */
  shape: string;
  /** Median time of one, in ms. */
  ms: number;
  /** Floating-point operations of one. */
  flops?: number;
  /** Bytes that one must read and write at the least. */
  bytes?: number;
}

/** Work to be timed: `record` records it once, on tensors that live as long as the bench. */
export interface Work extends Omit<BenchRow, "ms"> {
  record: () => void;
}

/**
 * Times the works in turns and takes medians. Each timing repeats its work in one submit until it takes some 50 ms, and
 * the time of an empty wait (10 ms in Deno) is taken off.
 */
export async function measure(gpu: Gpu, works: readonly Work[], rounds = 7): Promise<BenchRow[]> {
  const time = async (work: Work | undefined, times: number) => {
    await gpu.settled();
    for (let i = 0; i < times; i++) work!.record();
    const start = performance.now();
    await gpu.settled();
    return performance.now() - start;
  };
  const idle: number[] = [];
  const plan: { work: Work; times: number; list: number[] }[] = [];
  for (const work of works) {
    await time(work, 1); // compiles
    idle.push(await time(undefined, 0));
    const once = Math.max(0.05, await time(work, 2) - idle.at(-1)!) / 2;
    plan.push({ work, times: Math.min(500, Math.max(1, Math.round(50 / once))), list: [] });
  }
  for (let round = 0; round < rounds; round++) {
    idle.push(await time(undefined, 0));
    for (const { work, times, list } of plan) list.push(await time(work, times) / times);
  }
  return plan.map(({ work: { record: _, ...row }, times, list }) => ({
    ...row,
    ms: Math.max(0, median(list) - median(idle) / times),
  }));
}

/** The middle of `list`, the upper one of two. */
export function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1];
}

/** `n` numbers between -0.5 and 0.5. */
export function noise(n: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: n }, () => Math.random() - 0.5);
}
