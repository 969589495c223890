import { assert, assertEquals } from "@std/assert";
import { filesUnder, imports } from "./sources.ts";

/** The arrows of the house: a folder may import itself, what it points to, and whatever those may import. */
const ARROWS: Record<string, string[]> = {
  core: [],
  reference: ["core"],
  gpu: ["core"],
  kernels: ["gpu"],
  ops: ["kernels"],
  linalg: ["ops"],
  autograd: ["ops"],
  nn: ["autograd", "io"],
  optim: ["autograd"],
  adapters: ["nn", "linalg", "io"],
  io: ["core"],
  datasets: ["io"],
  train: ["nn", "optim", "adapters", "datasets"],
  experiments: ["train"],
  display: ["core"],
  cli: ["experiments", "display", "reference"],
};

function below(folder: string): Set<string> {
  const found = new Set([folder]);
  for (const next of ARROWS[folder] ?? []) for (const name of below(next)) found.add(name);
  return found;
}

const folderOf = (path: string) => path.match(/^lib\/(\w+)\//)?.[1];
const isAllowed = (from: string, to: string) => below(from).has(to);
const lib = await imports(filesUnder("lib/", /\.ts$/));

Deno.test("lib: every import follows an arrow of the house", () => {
  assert(lib.length > 0);
  const wrong = lib.filter(({ from, to }) => {
    const [source, target] = [folderOf(from), folderOf(to)];
    return source !== undefined && target !== undefined && !isAllowed(source, target);
  });
  assertEquals(wrong.map(({ from, to }) => `${from} -> ${to}`), []);
});

Deno.test("lib: no folder outside the house, and no arrow that turns back", () => {
  const folders = new Set(filesUnder("lib/", /\.(ts|wgsl)$/).map(folderOf));
  assertEquals([...folders].filter((name) => name === undefined || !(name in ARROWS)), []);
  assert(!isAllowed("core", "gpu") && !isAllowed("gpu", "kernels") && isAllowed("cli", "core"));
});

Deno.test("lib: only relative specifiers and npm: with a whole version, and nothing outside lib", () => {
  const wrong = lib.filter(({ from, specifier, to }) => {
    if (specifier.startsWith("npm:")) {
      return !/^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+(-[\w.]+)?(\/|$)/.test(specifier);
    }
    return !/^\.\.?\//.test(specifier) || (from !== "mod.ts" && !to.startsWith("lib/"));
  });
  assertEquals(wrong.map(({ from, specifier }) => `${from}: ${specifier}`), []);
});
