/** What a training says while it runs, plain JSON. `step` counts finished steps, from 0. */
export interface RunEvent {
  /** Finished optimiser steps. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Mean training loss of this step before its update, nats per predicted token. */
  readonly loss?: number;
  /** Norm of the gradient before clipping. */
  readonly gradNorm?: number;
  /** Learning rate of this step. */
  readonly learningRate?: number;
  /** Predicted tokens so far. */
  readonly tokens?: number;
  /** Loss on the validation rows after `step` steps, nats per predicted token. */
  readonly evaluation?: number;
  /** Path of a checkpoint that is now whole on the disk. */
  readonly checkpoint?: string;
  /** True in the last event of a run that did all its steps. */
  readonly finished?: boolean;
}
