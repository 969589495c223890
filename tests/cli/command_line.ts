/** The command line as a process, with the permissions of its task. */
const root = new URL("../../", import.meta.url);

/** What a process left behind. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** The process of `deno task olora …`, without the task runner's own line. */
export function olora(...words: string[]): Deno.Command {
  return command([], {}, words);
}

/** The process of `deno task olora …` in an environment of its own. */
export function oloraWith(env: Record<string, string>, ...words: string[]): Deno.Command {
  return command([], env, words);
}

/** The process of `deno task olora-slurm …`. */
export function oloraSlurm(env: Record<string, string>, ...words: string[]): Deno.Command {
  return command(["--allow-run"], env, words);
}

function command(permissions: string[], env: Record<string, string>, words: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-net",
      "--allow-sys=systemMemoryInfo",
      "--allow-env=XDG_RUNTIME_DIR,OLORA_ADAPTER,HF_HOME,HF_HUB_CACHE,HF_HUB_OFFLINE,HF_ENDPOINT,HF_TOKEN,HOME,USERPROFILE,XDG_CACHE_HOME,PIP_INDEX_URL",
      ...permissions,
      "lib/cli/main.ts",
      ...words,
    ],
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs a command line to its end. */
export function run(...words: string[]): Promise<Ended> {
  return outcome(olora(...words));
}

/** Runs a process to its end. */
export async function outcome(process: Deno.Command | Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await process.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
