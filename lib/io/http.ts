/** How long and how often a server is waited for. */
export interface Patience {
  /** Most ms without an answer, or without another byte of it. */
  readonly silence: number;
  /** Attempts in a row that bring nothing new. */
  readonly attempts: number;
  /** Longest wait, in ms, that a server may ask for with `Retry-After`; beyond it the request fails. */
  readonly longestWait: number;
  /** Waits. */
  wait(ms: number): Promise<void>;
}

/** Half a minute of silence, five attempts, five minutes of `Retry-After`. */
export const PATIENCE: Patience = {
  silence: 30_000,
  attempts: 5,
  longestWait: 300_000,
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** A failure that another attempt may mend. */
export class TransientError extends Error {
  /** Name of the error class, `"TransientError"`. */
  override name = "TransientError";
  /** Ms to wait before the next attempt, where the server said so. */
  readonly after: number | undefined;

  /**
   * Makes the error.
   *
   * @param message What was found.
   * @param after Ms to wait, where the server said so.
   */
  constructor(message: string, after?: number) {
    super(message);
    this.after = after;
  }
}

/** An answer with status 200 or 206, whose body is read once. */
export interface Answer {
  /** Status, 200 or 206. */
  readonly status: number;
  /** Headers. */
  readonly headers: Headers;
  /**
   * The body as it comes.
   *
   * @throws {TransientError} If it is cut, or stays silent for too long.
   */
  chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** Lets go of a body that is not wanted. */
  discard(): Promise<void>;
}

/** What is asked for. */
export interface Asked {
  /** Address. */
  readonly url: string;
  /** What it is, for errors, e.g. `config.json of hf:org/name`. */
  readonly what: string;
  /** Headers besides. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers that prove who asks; called for each address that a redirect leads to. */
  authorization?(url: string): Record<string, string>;
  /** What to say of a refusal besides its status; `code` is the hub's `x-error-code`. */
  explain?(status: number, code: string | null): string | undefined;
}

const REDIRECTS = [301, 302, 303, 307, 308];
const MOST_REDIRECTS = 10;

/**
 * Asks once. Redirects are followed here rather than by `fetch`, so that each hop gets the headers that are meant for it.
 *
 * @throws {TransientError} If the server cannot be reached, stays silent, or says 408, 429 or 5xx.
 * @throws {Deno.errors.NotFound} On 404.
 * @throws {Deno.errors.PermissionDenied} On 401 and 403.
 * @throws {Deno.errors.Http} On any other status.
 */
export async function ask(
  { url, what, headers, authorization, explain }: Asked,
  { silence, longestWait }: Patience,
): Promise<Answer> {
  let address = url;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const watch = new Watch(silence);
    let response: Response;
    try {
      response = await fetch(address, {
        redirect: "manual",
        headers: { "accept-encoding": "identity", ...headers, ...authorization?.(address) },
        signal: watch.signal,
      });
    } catch (error) {
      watch.stop();
      if (error instanceof Deno.errors.NotCapable) throw error;
      throw new TransientError(`found ${hostOf(address)} ${reason(error, watch)}`);
    }
    const discard = async () => {
      watch.stop();
      await response.body?.cancel();
    };
    if (REDIRECTS.includes(response.status)) {
      await discard();
      address = target(response.headers.get("location"), address, what);
      continue;
    }
    if (response.status === 200 || response.status === 206) {
      return {
        status: response.status,
        headers: response.headers,
        chunks: () => chunks(response, watch, address),
        discard,
      };
    }
    await discard();
    throw refusal(response, address, what, longestWait, explain);
  }
  throw new Deno.errors.Http(`Cannot fetch ${what}: found more than ${MOST_REDIRECTS} redirects`);
}

/**
 * Repeats a job that fails with a {@linkcode TransientError}: after the time that the server asked for, else after 1, 2, 4, …
 * seconds. A job that came further than before starts counting anew.
 *
 * @param reached How far the job has come; default nowhere.
 * @throws {Deno.errors.NotConnected} If `patience.attempts` in a row failed.
 */
export async function persist<T>(
  what: string,
  patience: Patience,
  job: () => Promise<T>,
  reached: () => number = () => 0,
): Promise<T> {
  let furthest = reached();
  for (let attempt = 1;; attempt++) {
    try {
      return await job();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (reached() > furthest) [furthest, attempt] = [reached(), 1];
      if (attempt >= patience.attempts) {
        const times = attempt === 1 ? "" : `, ${attempt} attempts in a row`;
        throw new Deno.errors.NotConnected(`Cannot fetch ${what}: ${error.message}${times}`);
      }
      await patience.wait(error.after ?? 1000 * 2 ** (attempt - 1));
    }
  }
}

/** Bytes of a list of files at most: a page of a thousand takes less than one of them. */
const MOST_BYTES = 1 << 24;

/**
 * All bytes of an answer that is to be read as a whole.
 *
 * @throws {Deno.errors.InvalidData} If there are more than 16 MiB of them.
 */
export async function bytesOf(answer: Answer, what: string): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of answer.chunks()) {
    parts.push(chunk);
    length += chunk.length;
    if (length > MOST_BYTES) {
      throw new Deno.errors.InvalidData(
        `Cannot fetch ${what}: found more than ${MOST_BYTES} bytes of a list`,
      );
    }
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Ends a request that has been silent for too long. */
class Watch {
  readonly #controller = new AbortController();
  readonly #silence: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(silence: number) {
    this.#silence = silence;
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get hasEnded(): boolean {
    return this.signal.aborted;
  }

  get text(): string {
    return `silent for ${this.#silence / 1000} s`;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#silence);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

async function* chunks(
  response: Response,
  watch: Watch,
  address: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  try {
    while (reader) {
      const { done, value } = await reader.read().catch((error) => {
        throw new TransientError(`found ${hostOf(address)} ${reason(error, watch)}`);
      });
      if (done) return;
      watch.heard();
      yield value;
    }
  } finally {
    watch.stop();
    await reader?.cancel().catch(() => {});
  }
}

function refusal(
  { status, headers }: Response,
  address: string,
  what: string,
  longestWait: number,
  explain?: Asked["explain"],
): Error {
  const says = `${hostOf(address)} says ${status}`;
  if (status === 429 || status === 408 || status >= 500) {
    const after = retryAfter(headers.get("retry-after"));
    if (after === undefined || after <= longestWait) return new TransientError(says, after);
    return new Deno.errors.Http(
      `Cannot fetch ${what}: ${says} and asks to wait ${Math.ceil(after / 1000)} s; try again then`,
    );
  }
  const why = explain?.(status, headers.get("x-error-code"));
  const message = `Cannot fetch ${what}: ${says}${why === undefined ? "" : `: ${why}`}`;
  if (status === 404) return new Deno.errors.NotFound(message);
  if (status === 401 || status === 403) return new Deno.errors.PermissionDenied(message);
  return new Deno.errors.Http(message);
}

/** Ms that a `Retry-After` header asks for: seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\s*\d+\s*$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function target(location: string | null, from: string, what: string): string {
  const url = location === null ? null : URL.parse(location, from);
  if (url && /^https?:$/.test(url.protocol)) return url.href;
  throw new Deno.errors.Http(`Cannot fetch ${what}: ${hostOf(from)} redirects to no address`);
}

/** Of an address only the host is shown: a signed one is as good as a password. */
function hostOf(address: string): string {
  return new URL(address).host;
}

function reason(error: unknown, watch: Watch): string {
  if (watch.hasEnded) return watch.text;
  const { cause, message } = error as Error;
  const words = (cause instanceof Error ? cause.message : message)
    .replace(/ for url \([^)]*\)/, "").replace(/ \(os error \d+\)/g, "");
  return `out of reach (${words})`;
}
