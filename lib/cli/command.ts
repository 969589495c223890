import { type ProgressReporter, terminalProgress } from "../display/progress.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { openDevice } from "../gpu/device.ts";
import { resolveData } from "../io/data_file.ts";
import type { FetchOptions } from "../io/hub.ts";
import { resolveModel } from "../io/model_folder.ts";
import type { CutRows } from "../train/run_event.ts";
import type { Arguments, Option } from "./args.ts";

/** A command of the command line. */
export interface Command {
  /** What it does, one line. */
  readonly summary: string;
  /** Words after its name, for the help. */
  readonly usage: string;
  /** Its options, beside `--json` and `--help`. */
  readonly options: Readonly<Record<string, Option>>;
  /** Arguments that belong to no option. */
  readonly positionals?: number;
  /**
   * Does it.
   *
   * @returns What `--json` prints.
   */
  run(args: Arguments, output: Output): Promise<Record<string, unknown>>;
}

/** Work that was stopped before its end. */
export class StoppedError extends Error {
  /** Name of the error class, `"StoppedError"`. */
  override name = "StoppedError";
}

/** Where a command's words go. */
export interface Output {
  /** Results for people: stdout, or nowhere with `--json`. */
  say(text: string): void;
  /** Results without a line end, as they come. */
  write(text: string): void;
  /** What is not a result: stderr. */
  note(text: string): void;
}

/** Results to stdout as text, or with `json` nothing until the object at the end. */
export function makeOutput(json: boolean): Output {
  const encoder = new TextEncoder();
  const put = (stream: { writeSync(bytes: Uint8Array): number }, text: string) => {
    for (let bytes = encoder.encode(text); bytes.length;) bytes = bytes.subarray(stream.writeSync(bytes));
  };
  return {
    say: (text) => json || put(Deno.stdout, text + "\n"),
    write: (text) => json || put(Deno.stdout, text),
    note: (text) => put(Deno.stderr, text + "\n"),
  };
}

/** Opens the device that commands run on, and says which it is, and when it is a software one. */
export async function openGpu(output: Output): Promise<Gpu> {
  const gpu = await openDevice();
  const note = gpu.info.isSoftware
    ? " (a software adapter: it computes on the CPU, far slower than a GPU)"
    : "";
  output.note(`adapter: ${gpu.info.name}${note}`);
  return gpu;
}

/** What a run does not take of a data file, in one line. */
export function describeCut({ file, rows, truncated, limit, skipped }: CutRows): string {
  const parts = [
    ...(truncated ? [`${truncated} of ${rows} rows are cut at ${limit} tokens`] : []),
    ...(skipped ? [`${skipped} of ${rows} rows are left out, as no token of theirs counts in the loss`] : []),
  ];
  return `${file}: ${parts.join("; ")}`;
}

/** What `--model` takes, for the help of commands. */
export const MODEL_HELP =
  "tiny, tiny:2, tiny:3, a Hugging Face folder, a .gguf file, or hf:org/name[/file.gguf][@revision]";

/** The folder or GGUF file that a model's specification stands for; a download shows on stderr how far it is. */
export function findModel(spec: string, options: FetchOptions = {}): Promise<string> {
  return find(resolveModel, spec, options);
}

/** The path of the file that a specification of data stands for; a download shows on stderr how far it is. */
export async function findData(spec: string): Promise<string> {
  const path = await find(resolveData, spec, {});
  await Deno.stat(path).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(`Cannot read ${path}: there is no such file or folder`, { cause });
  });
  return path;
}

async function find(resolve: typeof resolveModel, spec: string, options: FetchOptions): Promise<string> {
  const bar = progressBar();
  try {
    return await resolve(spec, {
      onDownload: ({ file, ...state }) => bar.update({ ...state, label: file, unit: "byte" }),
      onNote: makeOutput(true).note,
      ...options,
    });
  } finally {
    bar.finish();
  }
}

/**
 * Checks that files and the model are there, before a device is opened; what is on the hub is fetched.
 *
 * @param files Data, as commands take them, or folders; undefined ones are left out.
 */
export async function checkInputs(model: string, ...files: (string | undefined)[]): Promise<void> {
  await findModel(model);
  for (const file of files) if (file !== undefined) await findData(file);
}

/** The path that a `file:` URL stands for, with forward slashes: `C:/…` on Windows. */
export function pathOf(url: URL, os: typeof Deno.build.os = Deno.build.os): string {
  const path = decodeURIComponent(url.pathname);
  return os === "windows" ? path.slice(1) : path;
}

/** A progress bar on stderr: one line that changes in a terminal, now and then a line elsewhere. */
export function progressBar(): ProgressReporter {
  const isTerminal = Deno.stderr.isTerminal();
  const encoder = new TextEncoder();
  return terminalProgress({
    write: (text) => Deno.stderr.writeSync(encoder.encode(text)),
    isTerminal,
    ...(isTerminal && { columns: Deno.consoleSize().columns }),
  });
}

/** A flag that Ctrl-C and SIGTERM set, for work that ends by itself at the next good place. */
export function interruption(onFirst: () => void): { stopped(): boolean } & Disposable {
  let stopped = false;
  const stop = () => {
    if (!stopped) onFirst();
    stopped = true;
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  return {
    stopped: () => stopped,
    [Symbol.dispose]: () => signals.forEach((signal) => Deno.removeSignalListener(signal, stop)),
  };
}
