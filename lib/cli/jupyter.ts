/**
 * Where Jupyter is, and the kernelspec that starts this Deno in it.
 *
 * @module
 */
import { writeFileAtomic } from "../io/atomic.ts";

/**
 * What `.venv` gets where no Jupyter is found. Plotly is there for its JupyterLab renderer; a Jupyter without it
 * shows the figures' static pictures.
 */
export const PACKAGES: readonly string[] = ["jupyterlab==4.6.6", "nbconvert==7.17.2", "plotly==7.1.0"];

/** Name under which notebooks ask for the kernel. */
export const KERNEL = "deno";

const VENV = ".venv";

/**
 * The kernelspec: this Deno by its absolute path, so it starts whatever PATH Jupyter has.
 *
 * `interrupt_mode: "message"`: the default sends SIGINT on a Stop, which ends the kernel with all its state; a
 * message ends the running cell alone. `GLIBC_TUNABLES` gives a software adapter huge pages, as in the tasks of deno.json.
 */
export function kernelSpec(execPath: string): Record<string, unknown> {
  return {
    argv: [execPath, "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
    interrupt_mode: "message",
    env: { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" },
  };
}

/**
 * Jupyter's folder for what a user installs, as `jupyter --data-dir` says it.
 *
 * @param env Reads an environment variable.
 * @throws {RangeError} If no variable says where the user's home is.
 */
export function dataFolder(os: string, env: (name: string) => string | undefined): string {
  const chosen = env("JUPYTER_DATA_DIR");
  if (chosen) return chosen;
  const [variable, rest] = os === "windows"
    ? ["APPDATA", "jupyter"]
    : os === "darwin"
    ? ["HOME", "Library/Jupyter"]
    : env("XDG_DATA_HOME")
    ? ["XDG_DATA_HOME", "jupyter"]
    : ["HOME", ".local/share/jupyter"];
  const base = env(variable);
  if (!base) {
    throw new RangeError(`Cannot find Jupyter's data folder: ${variable} and JUPYTER_DATA_DIR are not set`);
  }
  return `${base}/${rest}`;
}

/** Writes the kernelspec under the Jupyter data folder `folder`; gives the file's path. */
export async function installKernel(folder: string): Promise<string> {
  const path = `${folder}/kernels/${KERNEL}/kernel.json`;
  await writeFileAtomic(path, JSON.stringify(kernelSpec(Deno.execPath()), null, 2) + "\n");
  return path;
}

/** The `jupyter` program: the one in `.venv`, else one on PATH that has what is needed, else a new `.venv`. */
export async function ensureJupyter(): Promise<string> {
  const bin = Deno.build.os === "windows" ? `${VENV}/Scripts` : `${VENV}/bin`;
  for (const program of [`${Deno.cwd()}/${bin}/jupyter`, "jupyter"]) {
    if (await succeeds(program, "lab", "--version") && await succeeds(program, "nbconvert", "--version")) {
      return program;
    }
  }
  console.error(`No JupyterLab: making ${VENV} with ${PACKAGES.join(" ")}`);
  const python = Deno.build.os === "windows" ? "python" : "python3";
  await must(python, "-m", "venv", VENV);
  await must(`${bin}/python`, "-m", "pip", "install", "--quiet", ...PACKAGES);
  return `${Deno.cwd()}/${bin}/jupyter`;
}

async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

async function must(program: string, ...args: string[]): Promise<void> {
  const hint = "install Python 3 with its venv module (Debian: apt-get install python3-venv)";
  let status: Deno.CommandStatus;
  try {
    status = await new Deno.Command(program, { args, stdout: "inherit", stderr: "inherit" }).spawn().status;
  } catch (cause) {
    throw new Error(`Cannot run ${program}: ${hint}`, { cause });
  }
  if (!status.success) {
    throw new Error(`Cannot finish ${program} ${args.join(" ")}: exit ${status.code}; ${hint}`);
  }
}
