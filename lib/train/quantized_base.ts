import type { AttachOptions } from "../adapters/attach.ts";
import { attach } from "../adapters/attach.ts";
import { attachQuantized, type QuantizedAdapter, startsInBase } from "../adapters/quantized.ts";
import { quantizedDTypes } from "../core/quantize.ts";
import type { Model } from "../nn/model.ts";
import { quantizeModel } from "../nn/quantize.ts";
import type { RunConfig } from "./run_config.ts";

/** Whether a run trains on a base that is its own: quantised less the method's start, so that its adapter fits no other. */
export function hasOwnBase({ method = "olora", quantize, init }: RunConfig): boolean {
  return quantize !== undefined && init === undefined && startsInBase(method);
}

/**
 * Checks what a run may ask of a quantised base.
 *
 * @throws {RangeError} If the format is unknown, or a setting has no meaning beside it.
 */
export function checkQuantize(config: RunConfig): void {
  const { quantize, method = "olora", init } = config;
  if (quantize === undefined) {
    if (method !== "loftq") return;
    throw new RangeError(
      `Cannot train with method "loftq": expected quantize with it, as it makes good what that loses`,
    );
  }
  const refuse = (expected: string): never => {
    throw new RangeError(`Cannot train with quantize ${JSON.stringify(quantize)}: expected ${expected}`);
  };
  if (!quantizedDTypes.includes(quantize)) refuse(`one of ${quantizedDTypes.join(", ")}`);
  if (method === "full") refuse(`a method with an adapter, as "full" trains the weights themselves`);
  if (method === "loftq" && init !== undefined) refuse(`no init, as "loftq" makes its own start`);
  if (!hasOwnBase(config)) return;
  for (const name of ["freeze", "keep", "subtract"] as const) {
    if (config[name] === undefined) continue;
    refuse(`no ${name} with ${method}, as its start is taken out of the base before that is quantised`);
  }
}

/** What `attach` makes of a run with `quantize`, on a copy of the base that is quantised; the caller frees both. */
export async function attachOnQuantized(
  model: Model,
  config: RunConfig,
  options: AttachOptions,
): Promise<QuantizedAdapter> {
  const dtype = config.quantize!;
  if (config.init === undefined) {
    const name = hasOwnBase(config) && config.out !== undefined ? { name: `${config.out}/base` } : {};
    return await attachQuantized(model, { ...options, dtype, ...name });
  }
  const quantized = await quantizeModel(model, dtype);
  try {
    return { model: quantized, adapter: await attach(quantized, options) };
  } catch (error) {
    quantized[Symbol.dispose]();
    throw error;
  }
}
