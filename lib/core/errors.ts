/**
 * A failure of the GPU: no adapter, a missing feature, a validation, out-of-memory or lost-device
 * error, or a device that computes wrongly.
 */
export class GpuError extends Error {
  /** Name of the error class, `"GpuError"`. */
  override name = "GpuError";
  /** Label of the kernel at fault, where one is known. */
  readonly kernel: string | undefined;

  /** Makes an error that may name the kernel at fault. */
  constructor(message: string, options: { kernel?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kernel = options.kernel;
  }
}
