/**
 * Suites that need something beyond Deno and this repository: a browser, Jupyter, Python, Slurm, reference data. Where it is
 * missing the tests are reported as ignored and one line says what was looked for; under CI=true the absence of a program
 * is a failure.
 */
import { fileURLToPath } from "node:url";

/**
 * What a suite may need; `python` is one that has PEFT, `slurm` the daemon of a cluster's controller, `llama.cpp` a Node
 * that finds node-llama-cpp in out/llama_cpp.
 */
export type Tool = "chromium" | "jupyter" | "llama.cpp" | "python" | "slurm";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Entry of node-llama-cpp, where `.ci/run` installs it. */
export const llamaCppModule = `${root}out/llama_cpp/node_modules/node-llama-cpp/dist/index.js`;

/** Programs in the order in which they are tried; the first that answers is used. */
const candidates: Record<Tool, string[]> = {
  chromium: [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ],
  jupyter: [inVenv("jupyter"), "jupyter"],
  "llama.cpp": ["node"],
  python: [inVenv("python3"), "python3"],
  slurm: ["/usr/sbin/slurmctld"],
};

function inVenv(program: string): string {
  return `${root}.venv/${Deno.build.os === "windows" ? "Scripts" : "bin"}/${program}`;
}

const probes: Record<Tool, string[]> = {
  chromium: ["--version"],
  jupyter: ["lab", "--version"],
  "llama.cpp": ["-e", `require("node:fs").accessSync(${JSON.stringify(llamaCppModule)})`],
  python: ["-c", "import peft"],
  slurm: ["-V"],
};

function answers(tool: Tool, program: string): boolean {
  try {
    return new Deno.Command(program, { args: probes[tool], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

const found = new Map<Tool, Found>();

/** What `Deno.test` gets: `ignore`, and the `path` of the program to start, or of the data. */
export interface Found {
  path: string;
  ignore: boolean;
}

/** Looks for `tool` once; use as `Deno.test({ name, ignore: requires("chromium").ignore, fn })`. */
export function requires(tool: Tool): Found {
  let result = found.get(tool);
  if (result === undefined) {
    const path = candidates[tool].find((program) => answers(tool, program));
    result = verdict(tool, path, Deno.env.get("CI") === "true");
    found.set(tool, result);
  }
  return result;
}

const data = new Map<string, Found>();

/**
 * Where `path` of the reference data is: published models, tokenizers and texts that are not part of this repository, in
 * ../shared/data beside it. A clone elsewhere has none, so their absence is never a failure; one line names what was left out.
 */
export function referenceData(path: string): Found {
  let result = data.get(path);
  if (result === undefined) {
    const place = `${root}../shared/data/${path}`;
    const ignore = !exists(place);
    if (ignore) {
      console.error(`left out: the tests that need ${path}: not in ../shared/data beside this repository`);
    }
    result = { path: ignore ? "" : place, ignore };
    data.set(path, result);
  }
  return result;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * What a missing tool means: a line on stderr, or a failure where everything must be there.
 *
 * @throws {Error} If `path` is undefined and `isRequired`.
 */
export function verdict(tool: Tool, path: string | undefined, isRequired: boolean): Found {
  if (path !== undefined) return { path, ignore: false };
  const message = `no ${tool} (looked for ${candidates[tool].join(", ")})`;
  if (isRequired) {
    throw new Error(`Cannot run the tests that need ${tool}: ${message}, which CI=true requires`);
  }
  console.error(`left out: the tests that need ${tool}: ${message}`);
  return { path: "", ignore: true };
}
