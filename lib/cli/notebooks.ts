/**
 * Executes notebooks from top to bottom with the real kernel and stores their outputs:
 * `deno task notebooks [FILE.ipynb …]`, all of `notebooks/` by default. A notebook whose cell fails stays as it was.
 *
 * @module
 */
import { writeFileAtomic } from "../io/atomic.ts";
import { ensureJupyter, installKernel } from "./jupyter.ts";

/**
 * Executes the notebook at `path` in a fresh kernel whose working folder is the notebook's.
 *
 * @param jupyter The `jupyter` program.
 * @param kernels Folder that holds `kernels/`, searched before the user's own.
 * @returns The executed notebook's JSON.
 * @throws {Error} If a cell fails, with the cell's own error.
 */
export async function executeNotebook(
  path: string,
  jupyter: string,
  kernels: string,
): Promise<string> {
  const args = ["nbconvert", "--to", "notebook", "--execute", "--stdout"];
  // Times of day would make every execution a difference; a training may take longer than nbconvert's 30 s start.
  args.push("--ExecutePreprocessor.record_timing=False", "--ExecutePreprocessor.timeout=-1");
  const { success, stdout, stderr } = await new Deno.Command(jupyter, {
    args: [...args, path],
    env: { JUPYTER_PATH: kernels },
  }).output();
  if (!success) throw new Error(`Cannot execute ${path}: ${lastError(new TextDecoder().decode(stderr))}`);
  return tidy(new TextDecoder().decode(stdout));
}

/** What nbconvert prints after its traceback: the cell and the kernel's error, without colours. */
function lastError(stderr: string): string {
  // deno-lint-ignore no-control-regex
  const text = stderr.replace(/\x1b\[[0-9;]*m/g, "");
  const at = text.lastIndexOf("CellExecutionError:");
  return (at < 0 ? text : text.slice(at)).trim();
}

/** The notebook as it is committed: one space of indent, as JupyterLab writes it, and a newline at the end. */
function tidy(json: string): string {
  return JSON.stringify(JSON.parse(json), null, 1) + "\n";
}

/** The notebooks of `folder`, in their order. */
export function notebooksIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".ipynb"))
    .sort()
    .map((name) => `${folder}/${name}`);
}

if (import.meta.main) {
  const jupyter = await ensureJupyter();
  const kernels = await Deno.makeTempDir();
  let failed = 0;
  try {
    await installKernel(kernels);
    for (const path of Deno.args.length ? Deno.args : notebooksIn("notebooks")) {
      const begin = performance.now();
      try {
        await writeFileAtomic(path, await executeNotebook(path, jupyter, kernels));
        console.error(`${path}: ${Math.round((performance.now() - begin) / 1000)} s`);
      } catch (error) {
        failed++;
        console.error(`error: ${(error as Error).message}`);
      }
    }
  } finally {
    await Deno.remove(kernels, { recursive: true });
  }
  if (failed) Deno.exit(1);
}
