/**
 * Installs the kernelspec, so that any Jupyter of this user offers the Deno that ran it: `deno task kernel`.
 *
 * @module
 */
import { dataFolder, installKernel } from "./jupyter.ts";

if (import.meta.main) {
  console.error(`kernelspec: ${await installKernel(dataFolder(Deno.build.os, Deno.env.get))}`);
}
