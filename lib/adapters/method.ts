import type { Tape, Variable } from "../autograd/tape.ts";
import type { HostTensor } from "../core/host_tensor.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Model } from "../nn/model.ts";
import type { TokenBatch } from "../nn/score.ts";
import type { AdapterConfig } from "./adapter.ts";
import type { CourseOf } from "./course.ts";
import type { MethodOptions } from "./options.ts";

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

/** What a start that looks at data is given. */
export interface StartContext {
  /** The model, whose base is looked at: what is attached does not count. */
  readonly model: Model;
  /** Batches of the training data; at least one. */
  readonly batches: readonly TokenBatch[];
}

/** The two factors that an adapter starts from, both f32; whoever asked for them disposes them. */
export interface Factors {
  /** A₀, `[r, in]`. */
  readonly a: Tensor;
  /** B₀, `[out, r]`. */
  readonly b: Tensor;
  /** m, `[out]`, where it does not start as the norms of the rows of W + s B A. */
  readonly magnitude?: Tensor;
  /** c, `[out]`, where B is given a bias. */
  readonly bias?: Tensor;
}

/** What a method trains that is more, or other, than two factors beside W. */
export interface LayerForm {
  /** Whether dropout of the added part's input means anything. */
  readonly takesDropout: boolean;
  /** Whether the added part is scaled by α / r; default no, and α then means nothing. */
  readonly takesAlpha?: boolean;
  /** What is trained in one layer, with what it starts from, f32, by names of its own. */
  start(target: LayerTarget): ReadonlyMap<string, HostTensor>;
  /** What stays as it is, likewise; default nothing. */
  constants?(target: LayerTarget): ReadonlyMap<string, HostTensor>;
  /**
   * The layer on the tape, linear in x.
   *
   * @param inputs x `[n, in]`, what dropout leaves of it for the added part, and W `[out, in]` as stored.
   * @param tensors What `start`, `constants` and what the course saves named.
   */
  apply(
    tape: Tape,
    inputs: { readonly x: Variable; readonly dropped: Variable; readonly w: Variable },
    tensors: (name: string) => Variable,
    target: LayerTarget,
  ): Variable;
  /** What is done beside the updates; default nothing. */
  readonly course?: CourseOf;
  /** What is added to W, α / r · P diag(e) Q, from what is saved of a layer; absent where it is no such product. */
  readonly triplets?: (tensors: (name: string) => HostTensor) => Triplets;
}

/** A sum of products of a column and a row, each with a factor of its own. */
export interface Triplets {
  /** P, `[out, r]`. */
  readonly p: HostTensor;
  /** e, r numbers. */
  readonly e: HostTensor;
  /** Q, `[r, in]`. */
  readonly q: HostTensor;
}

/** A layer and the settings that count there. */
export interface LayerTarget extends Omit<Target, "w"> {
  /** The settings, patterns looked up. */
  readonly config: AdapterConfig;
}

/** A method of low-rank adaptation: where its factors start, and how they are scaled and trained. One file a method. */
export interface Method {
  /** Name in configurations. */
  readonly name: string;
  /** PEFT's `init_lora_weights` for it, where that says more than `true`. */
  readonly peft?: string;
  /**
   * Whether B₀ A₀ = 0. If not, the adapter computes W + s (B A − B₀ A₀), and B₀, A₀ are kept beside the factors that
   * are trained.
   */
  readonly startsAtZero: boolean;
  /** The factor that is never trained, if any; of a method that takes `freeze`, the option says it. */
  readonly frozen?: "A" | "B";
  /** Whether the lengths of the rows of the merged weight are always trained beside the factors. */
  readonly magnitude?: boolean;
  /** In place of two factors: what the layer computes. `start` then makes nothing. */
  readonly layer?: LayerForm;
  /** The options it takes beyond those that all methods have. */
  readonly takes: readonly (keyof MethodOptions)[];
  /** The scale s; default α / r. */
  scale?(config: Pick<AdapterConfig, "alpha" | "rank">): number;
  /** Learning rate of B over that of A; default 1. */
  ratio?(config: Pick<AdapterConfig, "ratio">): number;
  /** Batches of the training data that a run gives the start by default, where the start looks at data. */
  readonly batches?: number;
  /** Ranks that the data give the targets in place of those in their settings, before `start`; a target may get 0. */
  ranks?(
    targets: readonly Target[],
    settings: readonly AdapterConfig[],
    context: StartContext,
  ): Promise<number[]>;
  /**
   * Makes the starting factors of all targets.
   *
   * @param context Given to a method with `batches`.
   */
  start(
    gpu: Gpu,
    targets: readonly Target[],
    config: AdapterConfig,
    context?: StartContext,
  ): Promise<Factors[]>;
}
