import { RunChannel, type RunFailure } from "./channel.ts";
import type { RunEvent } from "./run_event.ts";
import type { RunOrder } from "./serve.ts";

/** How a run stands. */
export type RunState = "running" | "finished" | "stopped" | "failed";

/** How a run is started. */
export interface StartOptions {
  /**
   * Name of the run, default `"run"`. A run that is still going under the same name is stopped first, so a cell that
   * is run again replaces what it made.
   */
  readonly name?: string;
  /** Module of the Worker; default: the one that trains. It calls `serveRun`. */
  readonly worker?: URL;
}

/** How often listeners are called at most, ms. */
const TICK_MS = 250;
/** How long a run that is replaced may take to write its checkpoint before its Worker is ended, ms. */
const GRACE_MS = 30_000;

const runs = new Map<string, RunHandle>();

/**
 * Starts a training in a Worker and returns at once.
 *
 * @param config What to train, plain JSON.
 */
export function startRun<Config>(config: Config, options: StartOptions = {}): RunHandle {
  return new RunHandle(config, options);
}

/**
 * A training that runs in a Worker. All it says is read from shared memory, so each member works at any time,
 * also after a Stop in a notebook.
 */
export class RunHandle implements Disposable {
  /** Name of the run. */
  readonly name: string;
  /** What is trained. */
  readonly config: unknown;
  readonly #channel = new RunChannel();
  readonly #worker: Worker;
  readonly #listeners = new Set<(run: this) => void>();
  readonly #ended = Promise.withResolvers<RunEvent | undefined>();
  /** Replaced whole: a Stop may end this thread between any two statements. */
  #seen: { readonly events: readonly RunEvent[]; readonly failure?: RunFailure; readonly to: number } = {
    events: [],
    to: 0,
  };
  #told = -1;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Starts the run, as `startRun` does. */
  constructor(config: unknown, options: StartOptions = {}) {
    this.name = options.name ?? "run";
    this.config = config;
    runs.get(this.name)?.[Symbol.dispose]();
    runs.set(this.name, this);
    const entry = options.worker ?? new URL("./worker.ts", import.meta.url);
    this.#worker = new Worker(entry, { type: "module", name: this.name });
    // A module that does not load says so here and nowhere else; whatever happens later is in the channel.
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail({ name: "Error", message: event.message });
    };
    this.#ended.promise.catch(() => {});
    this.#worker.postMessage({ memory: this.#channel.memory, config } satisfies RunOrder<unknown>);
    this.#watch();
  }

  /** All events so far. */
  get events(): readonly RunEvent[] {
    this.#read();
    return this.#seen.events;
  }

  /** The last event so far. */
  get last(): RunEvent | undefined {
    return this.events.at(-1);
  }

  /** How the run stands. */
  get state(): RunState {
    const over = this.#channel.ended;
    this.#read();
    if (this.#seen.failure) return "failed";
    if (!over) return "running";
    return this.last?.finished ? "finished" : "stopped";
  }

  /** Why the run failed, where it did. */
  get failure(): RunFailure | undefined {
    this.#read();
    return this.#seen.failure;
  }

  /**
   * The last event, when the run has ended; rejects if it failed. Needs the event loop, which a Stop in a notebook
   * ends together with the cell's promise, so the kernel would wait for good: in a notebook use `wait()`.
   */
  get done(): Promise<RunEvent | undefined> {
    this.#watch();
    return this.#ended.promise;
  }

  /** Calls `listener` when there is news, at most four times a second, and once at the end; gives what removes it. */
  onProgress(listener: (run: this) => void): () => void {
    this.#listeners.add(listener);
    this.#watch();
    return () => this.#listeners.delete(listener);
  }

  /**
   * Blocks this thread until the run has ended, calling the listeners meanwhile. A Stop in a notebook ends the
   * wait and not the run, provided that nothing was awaited earlier in the same cell.
   *
   * @param ms Time to wait at most; unlimited by default.
   * @throws {Error} If the run failed, with its message.
   */
  wait(ms: number = Infinity): void {
    this.#watch();
    const until = performance.now() + ms;
    while (this.state === "running") {
      const left = until - performance.now();
      if (left <= 0) return;
      this.#channel.sleep(Math.min(TICK_MS, left));
      this.#tell();
    }
    this.#tell();
    const failure = this.#seen.failure;
    if (failure) throw Object.assign(new Error(failure.message), { name: failure.name });
  }

  /**
   * Asks the training to stop after its current step, and waits until it has written its checkpoint.
   *
   * @throws {Error} If the run failed, with its message.
   */
  stop(): void {
    this.#channel.requestStop();
    this.wait();
  }

  /** Stops the run, and ends its Worker if it does not answer within 30 s. */
  [Symbol.dispose](): void {
    this.#channel.requestStop();
    this.#channel.sleep(GRACE_MS);
    this.#worker.terminate();
    if (this.state === "running") this.#channel.end();
    this.#tell();
    if (runs.get(this.name) === this) runs.delete(this.name);
  }

  #fail(failure: RunFailure): void {
    this.#seen = { ...this.#seen, failure };
    this.#channel.end();
    this.#tell();
  }

  #read(): void {
    if (this.#channel.length === this.#seen.to) return;
    const { lines, to } = this.#channel.read(this.#seen.to);
    const events = [...this.#seen.events];
    let failure = this.#seen.failure;
    for (const line of lines) {
      if ("event" in line) events.push(line.event);
      else failure = line.failure;
    }
    this.#seen = { events, failure, to };
  }

  #tell(): void {
    const over = this.state !== "running";
    const news = over ? Infinity : this.#seen.to;
    if (news === this.#told) return;
    this.#told = news;
    for (const listener of this.#listeners) listener(this);
    if (!over) return;
    clearInterval(this.#timer);
    const failure = this.#seen.failure;
    if (failure) this.#ended.reject(Object.assign(new Error(failure.message), { name: failure.name }));
    else this.#ended.resolve(this.last);
  }

  /** Sets the timer anew: a Stop that hits inside a timer's callback ends all timers of this thread. */
  #watch(): void {
    clearInterval(this.#timer);
    if (this.#told !== Infinity) this.#timer = setInterval(() => this.#tell(), TICK_MS);
  }
}
