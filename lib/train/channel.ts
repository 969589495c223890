import type { RunEvent } from "./run_event.ts";

/** Why a run ended before its last step. */
export interface RunFailure {
  /** The error's class. */
  readonly name: string;
  /** The error's message. */
  readonly message: string;
}

/** A line of the channel. */
export type RunLine = { readonly event: RunEvent } | { readonly failure: RunFailure };

/** Places in the header. */
const STOP = 0;
const ENDED = 1;
const LENGTH = 2;
const HEADER_BYTES = 16;

const FIRST_BYTES = 1 << 16;
/** Reserved, not used: a run of a million steps writes some 100 MB. */
const MOST_BYTES = 1 << 28;

/**
 * What a training in a Worker and the thread that started it share: a stop flag, and a log of events that only grows.
 *
 * Shared memory, because it works without either side's event loop. A Stop in a notebook ends whatever callback the
 * kernel's thread is in, and a `message` handler that was ended once never runs again, so `postMessage` and
 * `BroadcastChannel` may die with it; and a cell that waits without returning sees no messages at all, while it can
 * read memory and sleep on it.
 */
export class RunChannel {
  /** What the other side makes its channel from. */
  readonly memory: SharedArrayBuffer;
  readonly #header: Int32Array;

  /**
   * One end of a channel.
   *
   * @param memory The other side's memory; new by default.
   */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(FIRST_BYTES, { maxByteLength: MOST_BYTES });
    this.#header = new Int32Array(this.memory, 0, HEADER_BYTES / 4);
  }

  /** Bytes of log so far. */
  get length(): number {
    return Atomics.load(this.#header, LENGTH);
  }

  /** Whether the Worker has written its last line. */
  get ended(): boolean {
    return Atomics.load(this.#header, ENDED) === 1;
  }

  /** Whether the training was asked to stop. */
  get stopRequested(): boolean {
    return Atomics.load(this.#header, STOP) === 1;
  }

  /** Asks the training to stop after its current step. */
  requestStop(): void {
    Atomics.store(this.#header, STOP, 1);
  }

  /** Says that no line follows. */
  end(): void {
    Atomics.store(this.#header, ENDED, 1);
    Atomics.notify(this.#header, ENDED);
  }

  /**
   * Adds a line; only the Worker does.
   *
   * @throws {RangeError} If the log is full.
   */
  append(line: RunLine): void {
    const bytes = new TextEncoder().encode(JSON.stringify(line) + "\n");
    const start = HEADER_BYTES + this.length;
    const end = start + bytes.length;
    if (end > MOST_BYTES) {
      throw new RangeError(`Cannot add to the run's log: got ${end} bytes, expected at most ${MOST_BYTES}`);
    }
    if (end > this.memory.byteLength) this.memory.grow(Math.min(MOST_BYTES, 2 * end));
    new Uint8Array(this.memory, start, bytes.length).set(bytes);
    Atomics.store(this.#header, LENGTH, end - HEADER_BYTES);
  }

  /** The lines that start at byte `from` of the log. */
  read(from: number): { lines: RunLine[]; to: number } {
    const to = this.length;
    // TextDecoder takes no shared memory, so the bytes are copied.
    const bytes = new Uint8Array(this.memory, HEADER_BYTES + from, to - from).slice();
    const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
    return { lines: lines.map((line) => JSON.parse(line)), to };
  }

  /** Blocks this thread until the run has ended or `ms` have passed. */
  sleep(ms: number): void {
    Atomics.wait(this.#header, ENDED, 0, ms);
  }
}
