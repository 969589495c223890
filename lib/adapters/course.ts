import type { Parameters } from "../autograd/parameters.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LayerTarget } from "./method.ts";

/** Where a training stands. */
export interface TrainingPlace {
  /** Number of the update at hand, from 1. */
  readonly step: number;
  /** Updates in all. */
  readonly steps: number;
}

/** The optimiser's numbers for what is trained, in the order of the parameters' arena. */
export interface Moments {
  /** Running mean of the gradients, f32 `[n]`. */
  readonly m: Tensor;
  /** Running mean of the squared gradients, f32 `[n]`. */
  readonly v: Tensor;
  /** Recorded: both become zero, and their bias is corrected as from the first update on. */
  restart(): void;
}

/** What a course may reach of its training between two updates. */
export interface BetweenUpdates {
  /** The optimiser's numbers. */
  readonly moments: Moments;
  /**
   * Records the mean loss, nats per predicted token, that the adapter as it is has on the batches of the next update, which
   * no update has seen unless the data were read before; without dropout, f32, into element `at` of `into`.
   */
  loss(into: Tensor, at: number): void;
}

/** What a method does beside the updates while it trains: which of its ranks count, and what else it asks of them. */
export interface Course extends Disposable {
  /** Numbers that change without being trained, all that a later update depends on: part of checkpoints. */
  readonly state: ReadonlyMap<string, Tensor>;
  /** Those that say what the adapter has become, as `<module>.<name>`: saved with it. */
  readonly saved: ReadonlyMap<string, Tensor>;
  /** How many importance scores it keeps or makes. */
  readonly scores: number;
  /**
   * Says before the first update whether a training of so many can be.
   *
   * @throws {RangeError} If not.
   */
  check(steps: number): void;
  /** Factor of the learning rate of the update at hand; default 1. */
  rate?(place: TrainingPlace): number;
  /** Recorded between the backward pass and the update, whose gradients it may add to. */
  beforeUpdate?(place: TrainingPlace): void;
  /** Recorded after the update. */
  afterUpdate?(place: TrainingPlace, moments: Moments): void;
  /**
   * Whatever has to read, after an update was submitted; undefined where nothing is due, so that most updates wait for
   * nothing.
   */
  between?(place: TrainingPlace, training: BetweenUpdates): Promise<void> | undefined;
}

/** Makes the course of an adapter from what it trains and where. */
export type CourseOf = (parameters: Parameters, targets: readonly LayerTarget[]) => Course;
