import { adalora } from "./adalora.ts";
import type { AdapterConfig } from "./adapter.ts";
import { alora } from "./alora.ts";
import { dora } from "./dora.ts";
import { eva } from "./eva.ts";
import { flora } from "./flora.ts";
import { full } from "./full.ts";
import { lora, loraFa, loraPlus, rslora } from "./lora.ts";
import { loraGa } from "./lora_ga.ts";
import { lora2 } from "./lora2.ts";
import type { Method } from "./method.ts";
import { mica } from "./mica.ts";
import { milora } from "./milora.ts";
import { olora } from "./olora.ts";
import { mora } from "./mora.ts";
import { orthogonal } from "./orthogonal.ts";
import { pissa } from "./pissa.ts";
import { remora } from "./remora.ts";

const methods: Method[] = [
  olora,
  lora,
  rslora,
  loraPlus,
  loraFa,
  orthogonal,
  pissa,
  milora,
  mica,
  loraGa,
  eva,
  dora,
  mora,
  remora,
  flora,
  adalora,
  lora2,
  alora,
  full,
];

const names = methods.map(({ name }) => name);

/** All methods. */
export const METHODS: readonly Method[] = methods;

/** Names of all methods. */
export const methodNames: readonly string[] = names;

/**
 * Adds a method of one's own: `attach` and configurations then find it by its name, in this process.
 *
 * @throws {RangeError} If there is one of that name.
 */
export function addMethod(method: Method): void {
  if (names.includes(method.name)) {
    throw new RangeError(
      `Cannot add method "${method.name}": expected a name that is none of ${names.join(", ")}`,
    );
  }
  methods.push(method);
  names.push(method.name);
}

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

/** Whether the lengths of the rows of the merged weight are trained beside the factors. */
export function trainsMagnitude(
  { method, magnitude }: Pick<AdapterConfig, "method" | "magnitude">,
): boolean {
  return magnitude ?? findMethod(method).magnitude ?? false;
}
