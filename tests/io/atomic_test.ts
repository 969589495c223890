import { assertEquals, assertRejects } from "@std/assert";
import { writeFileAtomic } from "../../lib/io/atomic.ts";

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name).sort();
}

Deno.test("writeFileAtomic() writes text, bytes and pieces, makes folders and leaves nothing beside", async () => {
  const folder = await Deno.makeTempDir();
  await writeFileAtomic(`${folder}/a/text.txt`, "héllo");
  await writeFileAtomic(`${folder}/a/bytes.bin`, Uint8Array.of(1, 2));
  await writeFileAtomic(`${folder}/a/pieces.bin`, [Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)]);
  assertEquals(await Deno.readTextFile(`${folder}/a/text.txt`), "héllo");
  assertEquals(await Deno.readFile(`${folder}/a/pieces.bin`), Uint8Array.of(1, 2, 3));
  assertEquals(await names(`${folder}/a`), ["bytes.bin", "pieces.bin", "text.txt"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() keeps the old file when the content fails half way", async () => {
  const folder = await Deno.makeTempDir();
  await writeFileAtomic(`${folder}/x`, "old");
  function* broken() {
    yield Uint8Array.of(1, 2, 3);
    throw new RangeError("no more");
  }
  await assertRejects(() => writeFileAtomic(`${folder}/x`, broken()), RangeError, "no more");
  assertEquals(await Deno.readTextFile(`${folder}/x`), "old");
  assertEquals(await names(folder), ["x"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() removes what it wrote aside when the name is taken by a folder", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/x/y`, { recursive: true });
  await assertRejects(() => writeFileAtomic(`${folder}/x`, "text"));
  assertEquals(await names(folder), ["x"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() in a process killed at any moment leaves the old or the new file, whole", async () => {
  const folder = await Deno.makeTempDir();
  const module = new URL("../../lib/io/atomic.ts", import.meta.url).href;
  const script = `${folder}/write.ts`;
  await Deno.writeTextFile(
    script,
    `import { writeFileAtomic } from "${module}";
    for (let i = 0; ; i++) {
      console.log(i);
      await writeFileAtomic(Deno.args[0], (String(i % 10)).repeat(3_000_000));
    }`,
  );
  await writeFileAtomic(`${folder}/x`, "old");
  for (const kill of [2, 5, 9]) {
    const writer = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-read", "--allow-write", script, `${folder}/x`],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let said = "";
    for await (const chunk of writer.stdout.pipeThrough(new TextDecoderStream())) {
      said += chunk;
      if (said.split("\n").length > kill) writer.kill("SIGKILL");
    }
    await writer.status;
    const found = await Deno.readTextFile(`${folder}/x`);
    assertEquals(found.length, 3_000_000);
    assertEquals(found, found[0].repeat(3_000_000));
  }
  await Deno.remove(folder, { recursive: true });
});
