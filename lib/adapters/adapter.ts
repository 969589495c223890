import { dropoutRule } from "../autograd/rules.ts";
import { constant, type Tape, type Variable } from "../autograd/tape.ts";
import { Rng, threefry2x32 } from "../core/rng.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Branch, Changes, Layer } from "../nn/decoder.ts";
import type { Model } from "../nn/model.ts";
import type { Parameters } from "../autograd/parameters.ts";
import type { LowRank } from "../ops/effective_weight.ts";
import { orthonormalize } from "../linalg/qr.ts";
import { expectedTensors, HEAD, headName } from "../io/weights.ts";
import type { Course, Moments, TrainingPlace } from "./course.ts";
import { findMethod } from "./methods.ts";
import type { MethodOptions } from "./options.ts";

/** Everything that determines an adapter before it is trained. */
export interface AdapterConfig extends MethodOptions {
  /** Method, one of `methodNames`. */
  readonly method: string;
  /** Rank r; 0 for "full". */
  readonly rank: number;
  /** α; the scale is s = α / r (rslora: α / √r). */
  readonly alpha: number;
  /** Other ranks, by a regular expression for the end of a module's path, as PEFT's `rank_pattern`. */
  readonly rankPattern?: Readonly<Record<string, number>>;
  /** Other values of α, likewise. */
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Which layers. */
  readonly targets: string | readonly string[];
  /** Probability that an input of the branch is dropped in training, in [0, 1). */
  readonly dropout: number;
  /** Seed of random starts and of dropout. */
  readonly seed: number;
}

/** The low-rank branch of one layer. */
export interface AdapterBranch {
  /** A, `[r, in]`. */
  readonly a: Variable;
  /** B, `[out, r]`. */
  readonly b: Variable;
  /** m, `[out]`: the lengths of the rows of the merged weight, where the method trains them. */
  readonly magnitude?: Variable;
  /** c, `[out]`, where B has a bias. */
  readonly bias?: Variable;
  /** s, dimensionless. */
  readonly scale: number;
  /** A₀ and B₀, where they are not a zero product. */
  readonly start?: { readonly a: Tensor; readonly b: Tensor };
}

/** What `branch` makes of the weight of its layer, for `effectiveWeight`. */
export function changeOf({ scale, a, b, start, magnitude }: Branch): LowRank {
  return {
    scale,
    trained: { a: a.value, b: b.value },
    ...(start && { start }),
    ...(magnitude && { magnitude: magnitude.value }),
  };
}

/** A layer of another form. */
export interface AdapterLayer {
  /** y of x, of what dropout leaves of it, and of W. */
  apply(tape: Tape, inputs: { x: Variable; dropped: Variable; w: Variable }): Variable;
}

/**
 * An adapter on a model: a set of branches beside linear layers, or of weights that are trained themselves ("full").
 * The model's own weights are never touched; detached, the model is its base bit for bit.
 */
export class Adapter implements Changes, Disposable {
  /** The model it sits on. */
  readonly model: Model;
  /** How it was made. */
  readonly config: AdapterConfig;
  /** What is trained. */
  readonly parameters: Parameters;
  /** Branches by module path; none where the method's layers are of another form, or all is trained. */
  readonly branches: ReadonlyMap<string, AdapterBranch>;
  /** Layers of another form by module path. */
  readonly layers: ReadonlyMap<string, AdapterLayer>;
  /** What the method does beside the updates, if anything. */
  readonly course: Course | undefined;
  /** Where the training loop stands, for dropout: step and part of the step; undefined outside of training. */
  training: readonly [step: number, part: number] | undefined;
  readonly #owned: readonly Tensor[];

  /** Takes ownership of `parameters`, of `owned` and of the course; use `attach`. */
  constructor(
    model: Model,
    config: AdapterConfig,
    parameters: Parameters,
    branches: ReadonlyMap<string, AdapterBranch>,
    owned: readonly Tensor[],
    { layers = new Map(), course }: { layers?: ReadonlyMap<string, AdapterLayer>; course?: Course } = {},
  ) {
    this.model = model;
    this.config = config;
    this.parameters = parameters;
    this.branches = branches;
    this.#owned = owned;
    this.layers = layers;
    this.course = course;
  }

  /** s = α / r, or what the method makes of them, where no pattern says otherwise; 0 for "full". */
  get scale(): number {
    const { rank, alpha, method } = this.config;
    return rank ? findMethod(method).scale?.(this.config) ?? alpha / rank : 0;
  }

  /** Numbers that are trained. */
  get trainable(): number {
    return this.parameters.count;
  }

  /** Names of the base's weights that are trained whole. */
  get wholeWeights(): string[] {
    const names = expectedTensors({ ...this.model.config, tiedEmbeddings: false });
    return this.parameters.names.filter((name) => names.has(name));
  }

  /**
   * What stands for the weight called `name`: a parameter, if it is trained whole. Beside branches an embedding that is
   * trained is the input's alone: a head that the base has tied to it stays the base's.
   */
  weight(name: string): Variable | undefined {
    const own = this.parameters.get(name);
    if (own || name !== HEAD || !this.branches.size) return own;
    return constant(this.model.weights.get(headName(this.model.config))!);
  }

  /** The branch beside `module`, with dropout while training. */
  branch(module: string): Branch | undefined {
    const branch = this.branches.get(module);
    if (!branch) return undefined;
    const dropout = this.#dropout(module);
    return { ...branch, ...(dropout && { dropout }) };
  }

  /** What is computed in place of the layer called `module`, with dropout while training. */
  layer(module: string): Layer | undefined {
    const layer = this.layers.get(module);
    if (!layer) return undefined;
    const dropout = this.#dropout(module);
    return {
      apply(tape, x, w) {
        const dropped = dropout ? tape.apply(dropoutRule, [x], dropout)[0] : x;
        return layer.apply(tape, { x, dropped, w });
      },
    };
  }

  #dropout(module: string): Branch["dropout"] {
    const { dropout: p, seed } = this.config;
    if (!this.training || p === 0) return undefined;
    return { p, key: threefry2x32(new Rng(seed, `dropout ${module}`).key, [...this.training]) };
  }

  /** Recorded after each update: what the method does then, or restores of what it keeps, the orthonormality of B. */
  afterUpdate(place: TrainingPlace, moments: Moments): void {
    this.course?.afterUpdate?.(place, moments);
    if (this.config.keep !== "orthonormal") return;
    for (const { b } of this.branches.values()) orthonormalize(this.model.gpu, b.value);
  }

  /** Takes the adapter off the model, which then computes what its base computes, and keeps it for later. */
  detach(): void {
    if (this.model.changes === this) this.model.changes = undefined;
  }

  /** Puts the adapter on its model in place of what is attached. */
  reattach(): void {
    this.model.changes = this;
  }

  /** Detaches and frees the adapter. */
  [Symbol.dispose](): void {
    this.detach();
    this.parameters[Symbol.dispose]();
    this.course?.[Symbol.dispose]();
    for (const tensor of this.#owned) tensor.dispose();
  }
}
