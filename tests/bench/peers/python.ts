import type { Gpu } from "../../../mod.ts";
import { requires } from "../../helpers/requires.ts";

/** Runs a script of this folder and returns the JSON object that it prints last; the bench asks `requires` before. */
export async function runPython(script: string, args: readonly string[]): Promise<{ seconds: number }> {
  const path = new URL(script, import.meta.url).pathname;
  const { success, stdout } = await new Deno.Command(requires("python").path, {
    args: [path, ...args],
    stderr: "null",
  }).output();
  if (!success) throw new Error(`Cannot run ${script}: it ended with an error`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

/** Where PyTorch can compute what `gpu` does: on the CPU, and through CUDA beside a GPU that has it. */
export function torchDevices({ info }: Gpu): ("cpu" | "cuda")[] {
  const { path, ignore } = requires("python");
  if (ignore) return [];
  if (info.isSoftware) return ["cpu"];
  const args = ["-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"];
  return new Deno.Command(path, { args }).outputSync().success ? ["cpu", "cuda"] : ["cpu"];
}
