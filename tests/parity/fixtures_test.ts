import { assert, assertEquals } from "@std/assert";
import { fixturePath, readFixture } from "../helpers/fixtures.ts";

interface Entry {
  script: string;
  versions: Record<string, string>;
  bytes: number;
  sha256: string;
}

async function* files(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(fixturePath(folder))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) yield* files(`${path}/`);
    else if (path !== "PROVENANCE.json") yield path;
  }
}

Deno.test("PROVENANCE.json names script, versions and sha256 of every fixture, and nothing else", async () => {
  const entries = await readFixture<Record<string, Entry>>("PROVENANCE.json");
  const lists = ["requirements.txt", "lm_eval.txt", "quantize.txt"].map((name) =>
    new URL(`make/${name}`, import.meta.url)
  );
  const pinned = (await Promise.all(lists.map((url) => Deno.readTextFile(url)))).join("");
  const found: string[] = [];
  let total = 0;
  for await (const path of files("")) {
    found.push(path);
    const bytes = await Deno.readFile(fixturePath(path));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    assertEquals([path, entries[path]?.sha256], [path, digest]);
    total += bytes.length;
  }
  assertEquals(found.sort(), Object.keys(entries).sort());
  assert(total < 1.5e6, `fixtures take ${total} bytes`);
  for (const [path, { script, versions }] of Object.entries(entries)) {
    assert(pinned.includes(`python ${script}`) || /^smollm2/.test(script), `${script} is in no list`);
    assert(Deno.statSync(new URL(`make/${script}`, import.meta.url)).isFile, path);
    for (const [name, version] of Object.entries(versions)) {
      if (name !== "python") {
        assert(pinned.includes(`${name}==${version.split("+")[0]}\n`), `${path}: ${name} ${version}`);
      }
    }
  }
});
