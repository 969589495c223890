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
  /** Recorded between the backward pass and the update, whose gradients it may add to. */
  beforeUpdate?(place: TrainingPlace): void;
  /** Recorded after the update. */
  afterUpdate?(place: TrainingPlace): void;
  /**
   * Whatever has to read, after an update was submitted; undefined where nothing is due, so that most updates wait for
   * nothing.
   */
  between?(place: TrainingPlace): Promise<void> | undefined;
}

/** Makes the course of an adapter from what it trains and where. */
export type CourseOf = (parameters: Parameters, targets: readonly LayerTarget[]) => Course;
