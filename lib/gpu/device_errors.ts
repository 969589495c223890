import { GpuError } from "../core/errors.ts";

/**
 * Errors that a device reports later than they happen, kept until someone can be told.
 *
 * WebGPU reports validation and out-of-memory errors to error scopes, or to a listener that by default nobody is; a lost
 * device only resolves a promise. Each is kept here as a `GpuError` that names what was being done.
 */
export class DeviceErrors {
  readonly #device: GPUDevice;
  #error: GpuError | undefined;
  #pending: Promise<void>[] = [];

  /** Listens to `device`; `kernels` lists the labels to look for in messages. */
  constructor(device: GPUDevice, kernels: () => Iterable<string>) {
    this.#device = device;
    device.addEventListener("uncapturederror", (event) => {
      const { message } = (event as GPUUncapturedErrorEvent).error;
      const kernel = [...kernels()].find((name) => new RegExp(`\\b${name}\\b`).test(message));
      this.#error ??= new GpuError(message, kernel === undefined ? {} : { kernel });
    });
    device.lost.then(({ reason, message }) => {
      if (reason !== "destroyed") this.#error ??= new GpuError(`Device lost: ${message}`);
    });
  }

  /** Creates objects under an error scope, so that an error is known by what was being made. */
  scoped<T>(filter: GPUErrorFilter, doing: string, kernel: string | undefined, make: () => T): T {
    this.#device.pushErrorScope(filter);
    try {
      return make();
    } finally {
      this.#pending.push(
        this.#device.popErrorScope().then((error) => {
          if (!error) return;
          const message = `Error while ${doing}: ${error.message}`;
          this.#error = new GpuError(message, kernel === undefined ? {} : { kernel });
        }, () => {}),
      );
    }
  }

  /** Throws the first error that is known. */
  throwKnown(): void {
    if (!this.#error) return;
    const error = this.#error;
    this.#error = undefined;
    throw error;
  }

  /** Waits for the scopes that are open, then throws the first error. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(pending);
    this.throwKnown();
  }
}
