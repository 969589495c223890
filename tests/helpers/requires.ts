/**
 * Suites that need something beyond Deno: a browser, Jupyter, Python. Where it is missing the tests are reported as
 * ignored and one line says what was looked for; under CI=true its absence is a failure.
 */
import { fileURLToPath } from "node:url";

/** What a suite may need. */
export type Tool = "chromium" | "jupyter" | "python";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Programs in the order in which they are tried; the first that answers is used. */
const candidates: Record<Tool, string[]> = {
  chromium: [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ],
  jupyter: [inVenv("jupyter"), "jupyter"],
  python: [inVenv("python3"), "python3"],
};

function inVenv(program: string): string {
  return `${root}.venv/${Deno.build.os === "windows" ? "Scripts" : "bin"}/${program}`;
}

function answers(tool: Tool, program: string): boolean {
  const args = tool === "jupyter" ? ["lab", "--version"] : ["--version"];
  try {
    return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

const found = new Map<Tool, { path: string; ignore: boolean }>();

/**
 * Looks for `tool` once. `ignore` is for `Deno.test`, `path` the program to start: `Deno.test({ name, ignore, fn })`.
 *
 * @throws {Error} If it is missing under CI=true.
 */
export function requires(tool: Tool): { path: string; ignore: boolean } {
  let result = found.get(tool);
  if (result === undefined) {
    const path = candidates[tool].find((program) => answers(tool, program));
    const message = `no ${tool} (looked for ${candidates[tool].join(", ")})`;
    if (path === undefined && Deno.env.get("CI") === "true") {
      throw new Error(`Cannot run the ${tool} suite: ${message}, which CI=true requires`);
    }
    if (path === undefined) console.error(`left out: the tests that need ${tool}: ${message}`);
    result = { path: path ?? "", ignore: path === undefined };
    found.set(tool, result);
  }
  return result;
}
