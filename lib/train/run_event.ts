/** Rows of a data file that a run does not take as they are. */
export interface CutRows {
  /** The file, as the run's settings name it. */
  readonly file: string;
  /** Rows of the file, or of the part of it that is meant. */
  readonly rows: number;
  /** Those that are longer than `limit` tokens and lose the rest. */
  readonly truncated: number;
  /** Most tokens of a row, `seqLen + 1`. */
  readonly limit: number;
  /** Those left out because none of their tokens, or of what is left of them, counts in the loss. */
  readonly skipped: number;
}

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
  /** Rows of a file that are cut or left out, told once for each file before the first update. */
  readonly cut?: CutRows;
  /** True in the last event of a run that did all its steps. */
  readonly finished?: boolean;
}
