import { assert, assertEquals } from "@std/assert";
import { filesUnder, read, withoutComments } from "./sources.ts";

const ENGINE = "core reference gpu kernels ops linalg autograd nn optim adapters display".split(" ");
const MOST_LINES = 400;

const namesDeno = (source: string) => /\bDeno\b|["']node:/.test(withoutComments(source));
const lines = (text: string) => text.split("\n").length - 1;

/**
 * Errors thrown with a literal message that break the form `Cannot <do what>: <found and expected>`. A part that starts
 * with "found" is completed by whoever catches it. Plain `Error` is for the commands alone, where another program failed.
 */
function illWordedErrors(source: string, isCommand = false): string[] {
  return [...withoutComments(source).matchAll(/throw new ([\w.]+)\(\s*(["'`])(.*)/g)]
    .filter(([, type, , message]) => (type === "Error" && !isCommand) || !/^(Cannot|found) /.test(message))
    .map(([thrown]) => thrown);
}

Deno.test("lib: the engine's folders never name Deno or Node", () => {
  assert(namesDeno('const a = 1; /* b */\nDeno.env.get("A");') && namesDeno('import fs from "node:fs";'));
  assert(!namesDeno("/** Deno */ const a = 1; // Deno"));
  const engine = filesUnder("lib/", /\.ts$/).filter((path) => ENGINE.includes(path.split("/")[1]));
  assertEquals(engine.filter((path) => namesDeno(read(path))), []);
});

Deno.test(`lib and tests: no file is longer than ${MOST_LINES} lines`, () => {
  const files = [...filesUnder("lib/", /\.(ts|wgsl)$/), ...filesUnder("tests/", /\.(ts|wgsl|py|sh)$/)];
  assert(files.some((path) => lines(read(path)) > 100));
  assertEquals(files.filter((path) => lines(read(path)) > MOST_LINES), []);
});

Deno.test("lib: errors say what cannot be done, by a class that tells what kind of error it is", () => {
  assertEquals(illWordedErrors('throw new Error("Cannot a: b")').length, 1);
  assertEquals(illWordedErrors("throw new RangeError(\n  `bad rank ${r}`)").length, 1);
  assertEquals(illWordedErrors('throw new RangeError("Cannot attach: got 1")'), []);
  const wrong = filesUnder("lib/", /\.ts$/).flatMap((path) =>
    illWordedErrors(read(path), path.startsWith("lib/cli/"))
  );
  assertEquals(wrong, []);
});

Deno.test("lib/kernels: a kernel's twin, cases, test and bench have its name or its family's", () => {
  const kernels = filesUnder("lib/kernels/", /\.ts$/).map((path) => path.slice("lib/kernels/".length, -3))
    .filter((name) => /\bname: "/.test(read(`lib/kernels/${name}.ts`)));
  const missing = kernels.flatMap((kernel) =>
    [
      (name: string) => `lib/reference/${name}.ts`,
      (name: string) => `tests/kernels/${name}_cases.ts`,
      (name: string) => `tests/kernels/${name}_test.ts`,
      (name: string) => `tests/bench/${name}_bench.ts`,
    ].filter((place) => !families(kernel).some((name) => exists(place(name)))).map((place) => place(kernel))
  );
  assertEquals(missing, []);
});

/** `rms_norm_backward` belongs to `rms_norm_backward`, `rms_norm` and `rms`. */
function families(kernel: string): string[] {
  const words = kernel.split("_");
  return words.map((_, i) => words.slice(0, words.length - i).join("_"));
}

Deno.test("tests/kernels/all_cases.ts lists the cases of every kernel", () => {
  const list = read("tests/kernels/all_cases.ts");
  const cases = filesUnder("tests/kernels/", /_cases\.ts$/).map((path) => path.split("/").at(-1)!)
    .filter((name) => name !== "all_cases.ts");
  assertEquals(cases.filter((name) => !list.includes(`"./${name}"`)), []);
});

function exists(path: string): boolean {
  try {
    read(path);
    return true;
  } catch {
    return false;
  }
}
