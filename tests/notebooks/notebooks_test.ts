import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { executeNotebook, notebooksIn } from "../../lib/cli/notebooks.ts";
import { browser, launch } from "../browser/chromium.ts";
import { jupyter, makeFolder } from "./lab.ts";
import {
  codeCells,
  fileBytes,
  functionLengths,
  isOfRows,
  joined,
  pictures,
  printed,
  specifiers,
} from "./source.ts";

const FOLDER = decodeURIComponent(new URL("../../notebooks", import.meta.url).pathname);
const CONFIG = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);
const DATA = decodeURIComponent(new URL("../../data", import.meta.url).pathname);
const MOST_FUNCTION_LINES = 10;
const MOST_FIGURE_BYTES = 200_000;

const notebooks = notebooksIn(FOLDER).map((path) => {
  const name = path.slice(FOLDER.length + 1);
  return { path, name, cells: codeCells(Deno.readTextFileSync(path)) };
});

// A start of Deno's type checker, of nbconvert and of Chromium costs more than a notebook does: one serves all.
let checked: ReturnType<typeof typeCheck> | undefined;
let pages: ReturnType<typeof htmlPages> | undefined;
let chrome: ReturnType<typeof launch> | undefined;
Deno.test.afterAll(async () => {
  await (await chrome)?.close();
  if (pages) await Deno.remove(await pages, { recursive: true });
});

/** What the type checker says of the notebooks, each as one module of its name. */
async function typeCheck(): Promise<{ success: boolean; text: string }> {
  await using folder = await makeFolder();
  const modules = notebooks.map(({ name, cells }) => {
    const module = `${folder.path}/${name}.ts`;
    Deno.writeTextFileSync(module, joined(cells));
    return module;
  });
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", ...modules],
    env: { NO_COLOR: "1" },
  }).output();
  return { success, text: new TextDecoder().decode(stderr) };
}

/** Folder of the pages that nbconvert makes of the notebooks. */
async function htmlPages(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const args = ["nbconvert", "--to", "html", "--output-dir", folder, ...notebooks.map(({ path }) => path)];
  await new Deno.Command(jupyter.path, { args, stdout: "null", stderr: "null" }).output();
  return folder;
}

Deno.test("functionLengths() counts the lines of arrows and functions", () => {
  assertEquals(functionLengths("const f = (a) => {\n  if (a) { b(); }\n};\nfunction g() { return 1; }\n"), [
    3,
    1,
  ]);
  assertEquals(functionLengths("const f = (a) => a + 1;"), []);
});

Deno.test("specifiers() finds every form of import", () => {
  const source =
    `import a from "a"; import { b } from 'b';\nimport "c"; const d = await import("d"); export * from "e";`;
  assertEquals(specifiers(source), ["a", "b", "c", "d", "e"]);
});

Deno.test("notebooks/ holds the first three, in the paper's order", () => {
  assertEquals(notebooks.map(({ name }) => name).slice(0, 3), [
    "01-start.ipynb",
    "02-method.ipynb",
    "03-convergence.ipynb",
  ]);
});

for (const { path, name, cells } of notebooks) {
  Deno.test(`${name} imports the package only, and has no function past ${MOST_FUNCTION_LINES} lines`, () => {
    const source = joined(cells);
    assertEquals(specifiers(source).filter((found) => !/^@olora\/kit(\/|$)/.test(found)), []);
    assertEquals(functionLengths(source).filter((lines) => lines > MOST_FUNCTION_LINES), []);
  });

  Deno.test(`${name} waits for a run only in a cell where Stop can end the wait`, () => {
    const waiting = cells.map((cell) => joined([cell])).filter((source) =>
      /\.(wait|stop|done)\b/.test(source)
    );
    assertEquals(waiting.filter((source) => /\bawait\b|\bimport\b|\.done\b/.test(source)), []);
  });

  Deno.test(`${name}: its cells as one module pass the type check`, async () => {
    const { success, text } = await (checked ??= typeCheck());
    const blamed = notebooks.map(({ name }) => name).filter((name) => text.includes(`/${name}.ts:`));
    assert(success || (blamed.length > 0 && !blamed.includes(name)), text);
  });

  Deno.test(`${name}: its cells are formatted as the code is`, async () => {
    const folder = await Deno.makeTempDir();
    // Cell by cell: `deno fmt --check` on an .ipynb wants an empty line at the end of each cell.
    cells.forEach((cell, i) => Deno.writeTextFileSync(`${folder}/${i}.ts`, joined([cell])));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["fmt", "--check", "--config", CONFIG, folder],
    }).output();
    await Deno.remove(folder, { recursive: true });
    assert(success, new TextDecoder().decode(stderr));
  });

  Deno.test(`${name} is stored as it ran: in order, without an error, no output past 200 kB`, () => {
    assertEquals(cells.map(({ execution_count }) => execution_count), cells.map((_, i) => i + 1));
    const outputs = cells.flatMap(({ outputs = [] }) => outputs);
    assertEquals(outputs.filter(({ output_type }) => output_type === "error"), []);
    assertEquals(outputs.map(fileBytes).filter((bytes) => bytes > MOST_FIGURE_BYTES), []);
  });

  Deno.test(`${name} has pictures that GitHub shows, and ends in a sentence with its interval`, () => {
    const found = pictures(cells);
    assert(found.length > 0);
    for (const svg of found) assert(!/<(style|use|foreignObject|script)\b/i.test(svg));
    assertMatch(printed(cells.at(-1)!), /95 % interval/);
  });

  Deno.test({
    name: `${name}: nbconvert's page shows every picture without scripts`,
    ignore: jupyter.ignore || browser.ignore,
    async fn() {
      await using context = await (await (chrome ??= launch())).newContext({ javaScriptEnabled: false });
      const page = await context.newPage();
      const file = `${await (pages ??= htmlPages())}/${name.replace("ipynb", "html")}`;
      await page.setContent(await Deno.readTextFile(file));
      const shown = page.locator(".jp-RenderedSVG svg, .jp-RenderedSVG img, .output_svg svg");
      assertEquals(await shown.count(), pictures(cells).length);
      for (const box of await Promise.all((await shown.all()).map((picture) => picture.boundingBox()))) {
        assert(box !== null && box.width > 300 && box.height > 100);
      }
    },
  });

  Deno.test({
    name: `${name} runs from top to bottom with the real kernel`,
    ignore: jupyter.ignore,
    async fn() {
      await using folder = await makeFolder();
      const copy = `${folder.path}/notebooks/${name}`;
      await Deno.mkdir(`${folder.path}/notebooks`);
      await Deno.copyFile(path, copy);
      await Deno.symlink(DATA, `${folder.path}/data`, { type: "dir" });
      const ran = codeCells(await executeNotebook(copy, jupyter.path, `${folder.path}/share`));
      assertEquals(ran.map(({ execution_count }) => execution_count), ran.map((_, i) => i + 1));
      assertEquals(pictures(ran).length, pictures(cells).length);
      // What is read from the committed rows alone must say what they say today.
      const ofRows = joined(cells).includes("openDevice") ? isOfRows : () => true;
      assertEquals(ran.filter(ofRows).map(printed), cells.filter(ofRows).map(printed));
      if (joined(cells).includes("data/results/")) assert(cells.some(ofRows));
      // The copy has no out/ beside it, so no model that has to be fetched.
      const [fetching] = joined(cells).match(/deno task fetch \w+/) ?? [];
      if (fetching) assertStringIncludes(ran.map(printed).join("\n"), fetching);
    },
  });
}
