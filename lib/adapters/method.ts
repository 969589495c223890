import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** A linear layer that an adapter is to sit on. */
export interface Target {
  /** Path of the module, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  /** Its frozen weight, `[out, in]`, as stored. */
  readonly w: Tensor;
  /** Output features. */
  readonly out: number;
  /** Input features. */
  readonly in: number;
}

/** The two factors that an adapter starts from, both f32; whoever asked for them disposes them. */
export interface Factors {
  /** A₀, `[r, in]`. */
  readonly a: Tensor;
  /** B₀, `[out, r]`. */
  readonly b: Tensor;
}

/** A method of low-rank adaptation: where its factors start. One file a method. */
export interface Method {
  /** Name in configurations, also PEFT's `init_lora_weights` where PEFT knows it. */
  readonly name: string;
  /**
   * Whether B₀ A₀ = 0. If not, the adapter computes W + s (B A − B₀ A₀), and B₀, A₀ are kept beside the factors that
   * are trained.
   */
  readonly startsAtZero: boolean;
  /** Makes the starting factors of all targets. */
  start(gpu: Gpu, targets: readonly Target[], options: StartOptions): Promise<Factors[]>;
}

/** What a method may use to start. */
export interface StartOptions {
  /** Rank r. */
  readonly rank: number;
  /** Seed of random starts. */
  readonly seed: number;
}
