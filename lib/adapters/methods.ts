import { lora } from "./lora.ts";
import type { Method } from "./method.ts";
import { olora } from "./olora.ts";

const METHODS: readonly Method[] = [olora, lora];

/** Names of all methods, "full" (fine-tuning without an adapter) among them. */
export const methodNames: readonly string[] = [...METHODS.map(({ name }) => name), "full"];

/**
 * The method called `name`.
 *
 * @throws {RangeError} If there is none; the message lists all.
 */
export function findMethod(name: string): Method {
  const method = METHODS.find((method) => method.name === name);
  if (!method) {
    throw new RangeError(`Cannot use method "${name}": expected one of ${methodNames.join(", ")}`);
  }
  return method;
}
