import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { read, root } from "./sources.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, root));

async function deno(cwd: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`deno ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout) + decoder.decode(stderr);
}

async function inTempFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A script that uses what it imports, the GPU included. */
const script = (specifier: string) =>
  `import { Rng, toFloat32, openDevice } from ${JSON.stringify(specifier)};
using gpu = await openDevice();
using t = gpu.upload(new Float32Array([new Rng(1).uniform()]), [1]);
console.log((await gpu.read(t))[0] === Math.fround(new Rng(1).uniform()), typeof toFloat32);
`;

const run = ["run", "--check", "--no-prompt", "--allow-env", "--allow-read"];

for (const [how, specifier] of [["path", path("mod.ts")], ["file URL", new URL("mod.ts", root).href]]) {
  Deno.test(`mod.ts works when a script in another folder imports it by ${how}`, () =>
    inTempFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/script.ts`, script(specifier));
      assertMatch(await deno(folder, ...run, "script.ts"), /true function/);
    }));
}

Deno.test("the published files alone work as @olora/kit in another project", () =>
  inTempFolder(async (folder) => {
    const report = await deno(path("."), "publish", "--dry-run", "--allow-dirty", "--no-check");
    const files = [...report.matchAll(/^\s+(file:\S+) \(/gm)].map(([, url]) => url.slice(root.href.length));
    for (const file of files) {
      await Deno.mkdir(`${folder}/kit/${file}`.replace(/[^/]*$/, ""), { recursive: true });
      await Deno.copyFile(path(file), `${folder}/kit/${file}`);
    }
    const { name, version, exports } = JSON.parse(read("deno.json"));
    await Deno.writeTextFile(`${folder}/kit/deno.json`, JSON.stringify({ name, version, exports }));
    await Deno.mkdir(`${folder}/project`);
    await Deno.writeTextFile(
      `${folder}/project/deno.json`,
      JSON.stringify({ links: ["../kit"], imports: { [name]: `jsr:${name}@^${version}` } }),
    );
    await Deno.writeTextFile(`${folder}/project/script.ts`, script(name));
    assertMatch(await deno(`${folder}/project`, ...run, "script.ts"), /true function/);
    assertEquals(files.filter((file) => /^(tests|notebooks|out)\//.test(file)), []);
  }));
