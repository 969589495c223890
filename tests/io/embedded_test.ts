import { assertEquals, assertRejects } from "@std/assert";
import { embeddedFolder } from "../../lib/io/embedded.ts";
import { inFolder } from "../helpers/folder.ts";

const DATA = new URL("../../data/", import.meta.url);

/** A server of data/ in which `change` may alter a file, and what was asked of it. */
async function served(
  body: (data: URL, asked: string[]) => Promise<void>,
  change: (name: string, bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> = (_, bytes) => bytes,
): Promise<void> {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const name = new URL(url).pathname.slice("/data/".length);
    asked.push(name);
    return new Response(change(name, await Deno.readFile(new URL(name, DATA))));
  });
  try {
    await body(new URL(`http://127.0.0.1:${server.addr.port}/data/`), asked);
  } finally {
    await server.shutdown();
  }
}

const envOf = (folder: string) => ({ get: (name: string) => name === "XDG_CACHE_HOME" ? folder : undefined });

Deno.test("embeddedFolder() fetches a model from where the kit was imported from, once", () =>
  inFolder((folder) =>
    served(async (data, asked) => {
      const found = await embeddedFolder("tiny:2", data, envOf(folder));
      for (const file of ["config.json", "tokenizer.json", "model.safetensors"]) {
        assertEquals(
          await Deno.readFile(`${found}/${file}`),
          await Deno.readFile(new URL(`tiny/seed-2/${file}`, DATA)),
        );
      }
      assertEquals(asked.length, 4);
      assertEquals(await embeddedFolder("tiny:2", data, envOf(folder)), found);
      assertEquals(asked.length, 4);
    })
  ));

Deno.test("embeddedFolder() keeps no model of which a file has other bytes", () =>
  inFolder((folder) =>
    served(async (data) => {
      const fetching = () => embeddedFolder("tiny", data, envOf(folder));
      await assertRejects(fetching, Deno.errors.InvalidData, "tiny/model.safetensors: found sha256 ");
      await assertRejects(fetching, Deno.errors.InvalidData, "tiny/model.safetensors: found sha256 ");
    }, (name, bytes) => name.endsWith(".safetensors") ? bytes.slice(1) : bytes)
  ));
