import { Tape } from "../autograd/tape.ts";
import type { Adapter } from "../adapters/adapter.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Batch } from "../datasets/batches.ts";
import { negativeLogLikelihood, uploadBatch } from "../nn/score.ts";
import { AdamW } from "../optim/adamw.ts";
import { type Schedule, scheduleFactor } from "../optim/schedule.ts";
import { sumInto } from "../ops/sum.ts";

/** How to train. */
export interface TrainOptions {
  /** Updates in all. */
  steps: number;
  /** Peak learning rate, dimensionless. Default 1e-3. */
  learningRate?: number;
  /** Course of the rate after warm-up. Default "constant". */
  schedule?: Schedule;
  /** Updates of the warm-up. Default 0. */
  warmup?: number;
  /** Decoupled weight decay. Default 0. */
  weightDecay?: number;
  /** Global gradient norm to clip to; 0 for none. Default 0. */
  clip?: number;
  /** Batches whose gradients are added up for one update. Default 1. */
  accumulate?: number;
  /** Makes each layer's activations again in the backward pass: less memory, more time, the same bits. Default false. */
  recompute?: boolean;
  /** Number of the first update, from 0, for dropout: trainings whose numbers differ draw other masks. Default 0. */
  dropoutFrom?: number;
  /**
   * Most updates between two looks at the losses, which cost a wait for the device each; where updates are slow there
   * are four looks a second. Default 16.
   */
  readEvery?: number;
}

/** One update, as `metrics.jsonl` records it. */
export interface StepRecord {
  /** Number of the update, from 1. */
  step: number;
  /** Loss before the update, nats per predicted token. */
  loss: number;
  /** Global norm of the gradients before clipping. */
  gradNorm: number;
  /** Learning rate of the update. */
  learningRate: number;
  /** Tokens predicted so far, this update included. */
  tokens: number;
}

/** A loss or gradient that is not finite; the parameters may be spoilt from this step on. */
export class DivergedError extends Error {
  /** Name of the error class, `"DivergedError"`. */
  override name = "DivergedError";
  /** The first update whose loss or gradient is not finite. */
  readonly record: StepRecord;

  /** Says at which step it happened, and what is left. */
  constructor(record: StepRecord, left = "") {
    super(
      `Training diverged at step ${record.step}: loss ${record.loss}, gradient norm ${record.gradNorm}` +
        (left && `; ${left}`),
    );
    this.record = record;
  }
}

const RING = 64;
const LOOK_MS = 250;

/**
 * The training of one adapter: its optimiser, its place in the data, and the steps done.
 *
 * One update is one submit and waits for nothing, but where the method has to read between two (`Course`); losses and norms stay on the device in a ring of 64 and are read
 * when `readEvery` updates have been made or a quarter of a second has passed, which is also when a stop is seen. Everything that a later update depends on is in `adapter.parameters`, `adapter.course`,
 * `optimizer`, `tokens` and `position`.
 */
export class Trainer implements Disposable {
  /** What is trained. */
  readonly adapter: Adapter;
  /** Its optimiser. */
  readonly optimizer: AdamW;
  /** Tokens predicted so far. */
  tokens = 0;
  /** Batches drawn so far. */
  position: number;
  readonly #options: Required<TrainOptions>;
  readonly #ring: Tensor;
  readonly #batches: Iterator<Batch>;
  #ahead: Batch[] | undefined;
  #pending: Omit<StepRecord, "loss" | "gradNorm">[] = [];
  /** Updates between looks: 1 until their time is known. */
  #stride = 1;
  #lookedAt = 0;

  /**
   * A training that has not begun.
   *
   * @param batches Batches from `position` on.
   */
  constructor(adapter: Adapter, batches: Iterator<Batch>, options: TrainOptions, position = 0) {
    this.adapter = adapter;
    this.#batches = batches;
    this.position = position;
    this.#options = checkTrainOptions(options);
    adapter.course?.check(this.#options.steps);
    this.optimizer = new AdamW(adapter.parameters);
    const { gpu } = adapter.model;
    this.#ring = gpu.keep(gpu.tensor([2, RING]));
  }

  /** Updates done. */
  get step(): number {
    return this.optimizer.step;
  }

  /**
   * Makes updates until `steps` are done, the step `until` is reached or `stopped` says so, and yields the records of
   * each look.
   *
   * @throws {DivergedError} If a loss or a gradient is not finite; records before it were yielded.
   */
  async *run(
    options: { until?: number; stopped?: () => boolean } = {},
  ): AsyncGenerator<StepRecord[]> {
    const { steps, readEvery } = this.#options;
    const until = Math.min(steps, options.until ?? steps);
    this.#lookedAt = performance.now();
    const between = { moments: this.optimizer, loss: (into: Tensor, at: number) => this.#loss(into, at) };
    while (this.step < until && !options.stopped?.()) {
      this.#update();
      // On most steps nothing, and then nothing is waited for.
      await this.adapter.course?.between?.({ step: this.step, steps }, between);
      if (this.#pending.length >= Math.min(this.#stride, readEvery) || this.step === until) {
        yield* this.#look();
      }
    }
    yield* this.#look();
  }

  /** Frees the optimiser; the adapter stays. */
  [Symbol.dispose](): void {
    this.optimizer[Symbol.dispose]();
    this.#ring.dispose();
  }

  /** The batches of the next update, which count as drawn when it is made. */
  #upcoming(): Batch[] {
    return this.#ahead ??= Array.from({ length: this.#options.accumulate }, (_, drawn) => {
      const { value, done } = this.#batches.next();
      if (!done) return value;
      const found = this.position + drawn;
      throw new RangeError(`Cannot take step ${this.step + 1}: the data ends after ${found} batches`);
    });
  }

  #loss(into: Tensor, at: number): void {
    const { adapter } = this;
    const { model } = adapter;
    const batches = this.#upcoming();
    const scale = 1 / Math.max(1, countOf(batches));
    model.gpu.scope(() =>
      batches.forEach((batch, part) => {
        using tape = new Tape(model.gpu, { gradients: false });
        const nll = negativeLogLikelihood(tape, model, uploadBatch(model, batch, adapter), {
          changes: adapter,
        });
        sumInto(model.gpu, nll.value, into, { at, scale, accumulate: part > 0 });
      })
    );
  }

  #update(): void {
    const { adapter, optimizer } = this;
    const { gpu } = adapter.model;
    const { steps, recompute, dropoutFrom, learningRate, schedule, warmup, weightDecay, clip } =
      this.#options;
    const batches = this.#upcoming();
    this.#ahead = undefined;
    this.position = batches.at(-1)!.position;
    const count = countOf(batches);
    const scale = 1 / Math.max(1, count);
    const at = this.step % RING;
    gpu.scope(() => {
      batches.map((batch) => uploadBatch(adapter.model, batch, adapter)).forEach((batch, part) => {
        adapter.training = [dropoutFrom + this.step, part];
        using tape = new Tape(gpu);
        const nll = negativeLogLikelihood(tape, adapter.model, batch, { scale, changes: adapter, recompute });
        sumInto(gpu, nll.value, this.#ring, { at, scale, accumulate: part > 0 });
        tape.backward(nll);
      });
      adapter.training = undefined;
      const place = { step: this.step + 1, steps };
      const rate = learningRate * scheduleFactor(schedule, this.step, warmup, steps) *
        (adapter.course?.rate?.(place) ?? 1);
      adapter.course?.beforeUpdate?.(place);
      optimizer.update({ learningRate: rate, weightDecay, clip, at: RING + at }, this.#ring);
      adapter.afterUpdate(place, optimizer);
      this.tokens += count;
      this.#pending.push({ step: this.step, learningRate: rate, tokens: this.tokens });
    });
    gpu.flush();
  }

  async *#look(): AsyncGenerator<StepRecord[]> {
    if (!this.#pending.length) return;
    const pending = this.#pending;
    this.#pending = [];
    const ring = await this.adapter.model.gpu.read(this.#ring);
    const now = performance.now();
    this.#stride = Math.max(1, Math.floor(LOOK_MS * pending.length / (now - this.#lookedAt)));
    this.#lookedAt = now;
    const records = pending.map((record) => {
      const at = (record.step - 1) % RING;
      return { ...record, loss: ring[at], gradNorm: ring[RING + at] };
    });
    const bad = records.findIndex(({ loss, gradNorm }) =>
      !Number.isFinite(loss) || !Number.isFinite(gradNorm)
    );
    if (bad !== 0) yield bad < 0 ? records : records.slice(0, bad);
    if (bad >= 0) throw new DivergedError(records[bad]);
  }
}

/** Tokens that `batches` predict. */
function countOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, batch) => sum + batch.count, 0);
}

/**
 * `options` with the defaults filled in.
 *
 * @throws {RangeError} If one of them makes no sense.
 */
export function checkTrainOptions(options: TrainOptions): Required<TrainOptions> {
  const whole = {
    learningRate: 1e-3,
    schedule: "constant" as Schedule,
    warmup: 0,
    weightDecay: 0,
    clip: 0,
    accumulate: 1,
    recompute: false,
    dropoutFrom: 0,
    readEvery: 16,
    ...options,
  };
  const refuse = (name: keyof TrainOptions, expected: string): never => {
    throw new RangeError(`Cannot train with ${name} ${JSON.stringify(whole[name])}: expected ${expected}`);
  };
  if (!Number.isSafeInteger(whole.steps) || whole.steps < 0) refuse("steps", "a whole number >= 0");
  if (!(whole.learningRate >= 0 && Number.isFinite(whole.learningRate))) {
    refuse("learningRate", "a number >= 0");
  }
  if (!["constant", "linear", "cosine"].includes(whole.schedule)) {
    refuse("schedule", '"constant", "linear" or "cosine"');
  }
  if (!Number.isSafeInteger(whole.warmup) || whole.warmup < 0) refuse("warmup", "a whole number >= 0");
  if (!(typeof whole.weightDecay === "number" && whole.weightDecay >= 0)) {
    refuse("weightDecay", "a number >= 0");
  }
  if (!(typeof whole.clip === "number" && whole.clip >= 0)) refuse("clip", "a number >= 0");
  if (!Number.isSafeInteger(whole.accumulate) || whole.accumulate < 1) {
    refuse("accumulate", "a whole number >= 1");
  }
  if (typeof whole.recompute !== "boolean") refuse("recompute", "true or false");
  if (!Number.isSafeInteger(whole.dropoutFrom) || whole.dropoutFrom < 0) {
    refuse("dropoutFrom", "a whole number >= 0");
  }
  if (!Number.isSafeInteger(whole.readEvery) || whole.readEvery < 1 || whole.readEvery > RING) {
    refuse("readEvery", `a whole number from 1 to ${RING}`);
  }
  return whole;
}
