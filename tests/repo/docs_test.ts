import { assert, assertEquals } from "@std/assert";
import { filesUnder, read, root } from "./sources.ts";

const pages = filesUnder("./", /\.md$/).map((path) => path.slice(2))
  .filter((path) => !/^(out|\.venv|node_modules)\//.test(path));

/** Targets of the links and images of a page, outside code, that point into the repository. */
function links(markdown: string): string[] {
  const text = markdown.replace(/```[\s\S]*?```/g, "").replace(/`[^`\n]*`/g, "");
  return [...text.matchAll(/\]\(([^)\s]+)[^)]*\)/g)].map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The names that GitHub gives to a page's headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").trim().replaceAll(" ", "-")
  );
}

function isBroken(page: string, target: string): boolean {
  const [path, anchor] = target.split("#");
  try {
    const url = path === "" ? new URL(page, root) : new URL(path, new URL(page, root));
    Deno.statSync(url);
    return anchor !== undefined && !anchors(Deno.readTextFileSync(url)).includes(anchor);
  } catch {
    return true;
  }
}

/** Lines of a page's shell blocks that are not comments; a block tagged `sh ignore` is left out. */
function shellLines(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
    .flatMap(([, block]) => block.replaceAll("\\\n", " ").split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim()).filter((line) => line !== "" && !line.startsWith("#"));
}

/** The words of a shell line; quotes hold one together. */
function words(line: string): string[] {
  return (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

async function deno(...args: string[]): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("pages: every link into the repository leads somewhere", () => {
  assertEquals(links("[a](b.md#c) ![d](e.svg) `[f](g)` [h](https://i.example)"), ["b.md#c", "e.svg"]);
  assert(isBroken("README.md", "missing.md") && isBroken("CONTRIBUTING.md", "#missing"));
  const broken = pages.flatMap((page) =>
    links(read(page)).filter((target) => isBroken(page, target)).map((target) => `${page}: ${target}`)
  );
  assertEquals(broken, []);
});

Deno.test("pages: every `deno task` they name is one", () => {
  const { tasks } = JSON.parse(read("deno.json"));
  const wrong = pages.flatMap((page) =>
    [...read(page).matchAll(/\b(?:deno|deno@[\d.]+) task ([a-z][\w-]*)/g)].map(([, task]) => task)
      .filter((task) => !(task in tasks)).map((task) => `${page}: ${task}`)
  );
  assertEquals(wrong, []);
});

Deno.test("README.md: its TypeScript runs", async () => {
  const blocks = [...read("README.md").matchAll(/^```ts\n/gm)].length;
  const { success, output } = await deno("test", "-P", "--doc", "README.md");
  assert(success, output);
  assert(output.includes(`${blocks} passed`), output);
});

Deno.test("CONTRIBUTING.md: a method in forty lines runs", async () => {
  const [, block] = read("CONTRIBUTING.md").match(/^```ts\n(.*?)^```/ms)!;
  const method = block.slice(block.indexOf("addMethod({"), block.indexOf("});") + 3).trim().split("\n");
  assert(method.length <= 40, `${method.length} lines`);
  const { success, output } = await deno("test", "-P", "--doc", "CONTRIBUTING.md");
  assert(success, output);
  assert(output.includes("1 passed"), output);
});

Deno.test("README.md: its `deno task olora` lines run", async () => {
  for (const line of shellLines(read("README.md")).filter((line) => line.startsWith("deno task olora "))) {
    const { success, output } = await deno(...words(line).slice(1));
    assert(success, `${line}\n${output}`);
  }
});

Deno.test("lib: the examples in its documentation run", async () => {
  const { success, output } = await deno("test", "-P", "--doc", "--permit-no-files", "mod.ts", "lib/");
  assert(success, output);
});

Deno.test("lib: every exported symbol is documented and has its type written out", async () => {
  const { output } = await deno("doc", "--lint", ...filesUnder("lib/", /\.ts$/));
  assert(/Checked \d+ files|documentation lint error/.test(output), output);
  assertEquals(output.match(/error\[(?!private-type-ref).*\n.*/g), null);
});
