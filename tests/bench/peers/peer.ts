/**
 * What every peer offers to the bench, so that one driver times them all alike. This folder is excluded in the root
 * deno.json and has its own deno.json and lock: the peers' packages are 300 MB, which only the bench should fetch.
 */

/** Work that stays on the peer's device until it is waited for. */
export interface Job extends Disposable {
  /** Does the work `times` times, then waits once for the device; resolves to seconds for one. */
  run(times: number): Promise<number>;
  /** A figure that proves the work right: the loss after the last step, or the largest error of a product. */
  check(): Promise<number>;
}

/** A library with its device. */
export interface Peer {
  /** Name, version and backend, e.g. `@jax-js/jax 0.1.25 webgpu`. */
  readonly name: string;
  /** C = A B of two f32 matrices `[n, n]`; `check` is the largest |error| of 64 entries against float64. */
  matmul(n: number): Job;
  /**
   * A training step of x → relu(x W₁) W₂ without biases, both weights `[width, width]`, mean-squared error on a fixed
   * batch `[batch, width]`, Adam with rate 1e-3; `check` is the loss.
   */
  mlp(width: number, batch: number): Job;
}

/** Opens the peers in this process, so that rounds can be interleaved. Their modules are looked up at run time. */
export async function openPeers(): Promise<Peer[]> {
  const load = (file: string) => import(new URL(file, import.meta.url).href);
  const { openJaxJs } = await load("jax_js.ts");
  const { openTfjs } = await load("tfjs.ts");
  return [await openJaxJs("webgpu"), await openTfjs()];
}

/** `n` reproducible numbers, uniform on [−1, 1). */
export function uniforms(n: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed * 2654435761 >>> 0;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Inputs of the MLP job, the same for every peer. */
export function mlpInputs(
  width: number,
  batch: number,
): Record<"x" | "y" | "w1" | "w2", Float32Array<ArrayBuffer>> {
  const scale = 1 / Math.sqrt(width);
  return {
    x: uniforms(batch * width, 1),
    y: uniforms(batch * width, 2),
    w1: uniforms(width * width, 3).map((w) => w * scale),
    w2: uniforms(width * width, 4).map((w) => w * scale),
  };
}

/** Largest |error| of 64 entries of C = A B, `[n, n]`, against float64. */
export function productError(a: Float32Array, b: Float32Array, c: ArrayLike<number>, n: number): number {
  let worst = 0;
  for (let s = 0; s < 64; s++) {
    const i = s * 37 % n;
    const j = s * 101 % n;
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
    const error = Math.abs(c[i * n + j] - sum);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/** Times both jobs of `peer` and prints one JSON object; what each peer's file does when it is run by itself. */
export async function report(peer: Peer, rounds = 5): Promise<void> {
  const result: Record<string, unknown> = { peer: peer.name };
  const jobs = { matmul1024: () => peer.matmul(1024), mlp512: () => peer.mlp(512, 256) };
  for (const [name, open] of Object.entries(jobs)) {
    using job = open();
    await job.run(2);
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) seconds.push(await job.run(3));
    seconds.sort((a, b) => a - b);
    result[name] = { seconds: seconds[rounds >> 1], all: seconds, check: await job.check() };
  }
  console.log(JSON.stringify(result));
}
