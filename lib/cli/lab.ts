/**
 * Opens the notebooks in JupyterLab with this Deno as their kernel: `deno task lab`. Further arguments go to
 * JupyterLab, e.g. `deno task lab --no-browser`.
 *
 * @module
 */
import { dataFolder, ensureJupyter, installKernel } from "./jupyter.ts";

if (import.meta.main) {
  const jupyter = await ensureJupyter();
  console.error(`kernelspec: ${await installKernel(dataFolder(Deno.build.os, Deno.env.get))}`);
  // A root user's container is the ordinary case where nothing is installed yet; Jupyter refuses root unless told.
  const root = Deno.build.os !== "windows" && Deno.uid() === 0 ? ["--allow-root"] : [];
  const lab = new Deno.Command(jupyter, { args: ["lab", ...root, ...Deno.args, "notebooks"] }).spawn();
  // Ctrl-C reaches JupyterLab too, which asks before it ends: this process waits for its answer.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.exit((await lab.status).code);
}
