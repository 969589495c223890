/** The worker in which `setup.ts` looks for adapters and opens the one that tasks will get. */
import { listAdapters, openDevice } from "../gpu/device.ts";
import { adapterName } from "../gpu/preference.ts";

/** Names of all adapters, and either the one that opened or why none did. */
export type Probe = { adapters: string[] } & ({ name: string; isSoftware: boolean } | { error: string });

declare const self: { postMessage(message: Probe): void; close(): void };

async function probe(): Promise<Probe> {
  const adapters = (await listAdapters()).map(({ info }) => adapterName(info));
  try {
    using gpu = await openDevice();
    return { adapters, name: gpu.info.name, isSoftware: gpu.info.isSoftware };
  } catch (error) {
    return { adapters, error: (error as Error).message };
  }
}

self.postMessage(await probe());
self.close();
