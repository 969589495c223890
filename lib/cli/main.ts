/**
 * The command line: `deno task olora <command>`.
 *
 * Exit code 0, or 1 with one line `error: …` on stderr. `--json` puts one JSON object on stdout and all else on stderr.
 *
 * @module
 */
import { VERSION } from "../core/version.ts";
import { hasFlag, optionLines, parseCommandLine } from "./args.ts";
import { type Command, makeOutput } from "./command.ts";

/** Modules of the commands, loaded when they are asked for. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  reproduce: async () => (await import("./reproduce.ts")).reproduce,
  train: async () => (await import("./train.ts")).train,
  eval: async () => (await import("./eval.ts")).evaluate,
  tasks: async () => (await import("./tasks.ts")).tasks,
  generate: async () => (await import("./generate.ts")).generate,
  merge: async () => (await import("./merge.ts")).merge,
  convert: async () => (await import("./convert.ts")).convert,
  inspect: async () => (await import("./inspect.ts")).inspect,
  devices: async () => (await import("./devices.ts")).devices,
  sweep: async () => (await import("./sweep.ts")).sweep,
  compare: async () => (await import("./compare.ts")).compare,
  fetch: async () => (await import("./fetch.ts")).fetchModel,
};

/**
 * Runs one command line.
 *
 * @param words The words after the program's name.
 * @returns The exit code.
 */
export async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  try {
    if (name === undefined || name === "--help" || name === "-h") {
      makeOutput(false).say(await help());
      return 0;
    }
    if (name === "--version") {
      makeOutput(false).say(VERSION);
      return 0;
    }
    if (!Object.hasOwn(COMMANDS, name)) {
      throw new RangeError(`Cannot run command ${name}: expected one of ${Object.keys(COMMANDS).join(", ")}`);
    }
    const command = await COMMANDS[name]();
    if (hasFlag(rest, command.options, "--help", "-h")) {
      makeOutput(false).say(commandHelp(name, command));
      return 0;
    }
    const options = { ...command.options, json: { type: "flag", help: "" } as const };
    const args = parseCommandLine(rest, options, command.positionals);
    const json = args.flag("json");
    const result = await command.run(args, makeOutput(json));
    if (json) makeOutput(false).say(JSON.stringify(result));
    return 0;
  } catch (error) {
    makeOutput(true).note(`error: ${oneLine(error)}`);
    return 1;
  }
}

async function help(): Promise<string> {
  const rows = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).summary}`),
  );
  return [
    `olora ${VERSION}: low-rank adaptation of language models on WebGPU`,
    "",
    "Usage: olora <command> [options]",
    "",
    ...rows,
    "",
    "olora <command> --help lists a command's options. Exit code 1 comes with one line `error: …`.",
    "OLORA_ADAPTER=software|hardware|<name> chooses the GPU.",
    "HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE say of hf: models what they say in Python.",
  ].join("\n");
}

function commandHelp(name: string, { summary, usage, options }: Command): string {
  const all = {
    ...options,
    json: { type: "flag", help: "one JSON object on stdout, all else on stderr" } as const,
    help: { type: "flag", help: "this" } as const,
  };
  return `olora ${name}: ${summary}\n\nUsage: olora ${name} ${usage}\n\n${optionLines(all)}`;
}

/** What went wrong in one line, without a stack; what the operating system says, in words. */
function oneLine(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error))
    .replace(
      /^(.*) \(os error \d+\)(?:: \w+ '(.*)')?$/,
      (_, what, path) => `Cannot use ${path ?? "a path"}: ${what}`,
    );
  return message.replace(/\s*\n\s*/g, " ").trim();
}

if (import.meta.main) Deno.exit(await main(Deno.args));
