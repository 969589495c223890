import { adalora } from "./adalora.ts";
import { dora } from "./dora.ts";
import { flora } from "./flora.ts";
import { full } from "./full.ts";
import { lora, loraFa, loraPlus, rslora } from "./lora.ts";
import { lora2 } from "./lora2.ts";
import type { Method } from "./method.ts";
import { mica } from "./mica.ts";
import { milora } from "./milora.ts";
import { olora } from "./olora.ts";
import { mora } from "./mora.ts";
import { orthogonal } from "./orthogonal.ts";
import { pissa } from "./pissa.ts";

/** All methods. */
export const METHODS: readonly Method[] = [
  olora,
  lora,
  rslora,
  loraPlus,
  loraFa,
  orthogonal,
  pissa,
  milora,
  mica,
  dora,
  mora,
  flora,
  adalora,
  lora2,
  full,
];

/** Names of all methods. */
export const methodNames: readonly string[] = METHODS.map(({ name }) => name);

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
