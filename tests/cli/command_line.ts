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
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-env=XDG_RUNTIME_DIR,OLORA_ADAPTER",
      "lib/cli/main.ts",
      ...words,
    ],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs a command line to its end. */
export async function run(...words: string[]): Promise<Ended> {
  const { code, stdout, stderr } = await olora(...words).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
