const made = new Map<string, Disposable>();

/**
 * Makes something that holds device memory, and first frees what an earlier call under the same name made, so a
 * notebook cell that is run again replaces what it made.
 *
 * GPU memory is not collected with the variable that named it: a cell that says `const model = …` twice would
 * otherwise leave the first model on the device.
 *
 * @param name What it stands for, e.g. the variable's name.
 * @param make Makes it; what it throws is passed on, and nothing then stands under `name`.
 *
 * @example Usage
 * ```ts ignore
 * import { attach, loadModel, openDevice, replace } from "@olora/kit";
 *
 * const gpu = await replace("gpu", openDevice);
 * const model = await replace("model", () => loadModel("tiny", { gpu }));
 * const adapter = await replace("adapter", () => attach(model, { method: "olora" }));
 * ```
 */
export async function replace<T extends Disposable>(name: string, make: () => T | Promise<T>): Promise<T> {
  made.get(name)?.[Symbol.dispose]();
  made.delete(name);
  const thing = await make();
  made.set(name, thing);
  return thing;
}
